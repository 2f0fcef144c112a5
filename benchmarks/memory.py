"""Print the predicted GPU memory of the paper's stages (`promptmix.preflight.memory`) as a table in Markdown.

    PYTHONPATH=scripts python benchmarks/memory.py

The numbers are computed, not measured: no GPU is used. On a GPU, `benchmarks/generation.py` and
`benchmarks/training.py` print the measured peak beside the prediction.
"""

from promptmix.preflight import memory

GENERATION = ["512x512", "1024x768", "1920x1280", "1920x1920", "2560x1440"]
ANNOTATION = [
    ("sasnet", "1024x768"),
    ("dmcount", "1920x1280"),
    ("sasnet", "2560x1440"),
    ("adabins", "640x480"),
]
TRAINING = [
    ("csrnet", "1024x768", 32),
    ("rescsrnet", "1024x768", 32),
    ("csrnet", "1920x1280", 1),
    ("rescsrnet", "1920x1280", 1),
    ("csrnet", "2560x1440", 1),
    ("rescsrnet", "2560x1440", 1),
    ("guidedepth", "640x480", 32),
    ("sasnet", "2560x1440", 1),  # fine-tuned on PANDA-Crowd
]


def row(name: str, predict, *arguments) -> None:
    """Print the size of the tensors and the memory that a GPU should have, in GB."""
    alone, total = (predict(*arguments, overhead=overhead) / 1e9 for overhead in (False, True))
    print(f"| {name} | {alone:.1f} | {total:.1f} |", flush=True)


def main() -> None:
    """Print one row per stage, size and precision."""
    print("| stage | tensors, GB | to have, GB |\n| --- | --- | --- |")
    for precision in ("float16", "float32"):
        for size in GENERATION:
            row(f"generation, {size}, {precision}", memory.generation, *map(int, size.split("x")), precision)
    for network, size in ANNOTATION:
        row(f"annotation, {network}, {size}", memory.annotation, network, *map(int, size.split("x")))
    for precision in ("float32", "float16"):
        for network, size, batch in TRAINING:
            name = f"training, {network}, {size}, batch {batch}, {precision}"
            row(name, memory.training, network, *map(int, size.split("x")), batch, precision)


if __name__ == "__main__":
    main()
