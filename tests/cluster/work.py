"""Succeed, fail, wait for a file called "go", or take more memory than the first attempt has asked for."""

import os
import sys
import time
from pathlib import Path

output, name = Path(snakemake.output[0]), snakemake.wildcards.name
with open(f"{name}.attempts", "a") as attempts:
    print(os.environ["SLURM_JOB_ID"], snakemake.resources.mem_mb, file=attempts)
output.write_text("half of it")
if name == "fails":
    Path(snakemake.log[0]).write_text("it always does\n")
    sys.exit(1)
if name == "hungry":
    taken = b"\xff" * (700 << 20)
    while snakemake.resources.mem_mb < len(taken) >> 20:
        time.sleep(0.1)  # until Slurm notices
while name.startswith("waits") and not Path("go").exists():
    time.sleep(0.1)
output.write_text("all of it")
