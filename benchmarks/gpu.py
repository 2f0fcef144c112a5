"""Measure on a GPU what benchmarks/README.md leaves empty, in about ten minutes, and print its rows.

PYTHONPATH=scripts python benchmarks/gpu.py                 # writes results/gpu.md
PYTHONPATH=scripts python benchmarks/gpu.py --device cpu    # the same scripts at small sizes, to try them
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

import torch

HERE = Path(__file__).parent

COMMANDS = {
    "cuda": [
        ["generation.py", "--device", "cuda", "--turns", "1"],
        ["training.py", "--full", "--turns", "2", "--threads", "8"],
        ["annotation.py", "--device", "cuda"],
        ["batches.py", "--threads", "1", "4", "8", "--turns", "5", "--batches", "4"],
    ],
    "cpu": [
        ["generation.py", "--turns", "1", "--images", "2", "--steps", "2"],
        ["training.py", "--turns", "1", "--images", "8"],
        ["annotation.py", "--turns", "1", "--images", "2"],
        ["batches.py", "--threads", "1", "--turns", "1", "--batches", "1"],
    ],
}
"""What is run: a failure of one does not keep the others from running."""

HEAD = "| case | ours | plain | ratio | peak | predicted | |\n| --- | --- | --- | --- | --- | --- | --- |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=list(COMMANDS))
    parser.add_argument("--out", default=HERE.parent / "results" / "gpu.md", type=Path)
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        sys.exit("torch finds no GPU here. `--device cpu` tries the scripts without one")
    where = torch.cuda.get_device_name() if arguments.device == "cuda" else "CPU"
    begin, lines, failed = time.monotonic(), [f"{where}, torch {torch.__version__}", "", HEAD], []
    for command in COMMANDS[arguments.device]:
        print("python", *command, flush=True)
        process = subprocess.Popen(
            [sys.executable, str(HERE / command[0]), *command[1:]], stdout=subprocess.PIPE, text=True
        )
        for line in process.stdout or ():
            print(line, end="", flush=True)
            lines += [line.strip()] if line.startswith("| ") else []
        if process.wait():
            failed.append(command[0])
    lines += ["", f"{(time.monotonic() - begin) / 60:.1f} minutes."]
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text("\n".join(lines) + "\n")
    print(f"written: {arguments.out}")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
