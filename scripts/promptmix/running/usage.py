"""What a job has used so far: time of the CPU, and memory at its largest, of the computer and of the GPU."""

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

STATUS = Path("/proc/self/status")
"""Where the kernel says how large this process has been. `getrusage` would begin with the size of the one that started it."""

SAID = re.compile(
    r"used (?P<cpu>[\d.]+) s of CPU and at most (?P<memory>[\d.]+)(?: of (?P<asked>[\d.]+))? GB of memory"
    r"(?:, (?P<gpu>[\d.]+) GB of the GPU's)?$",
    re.MULTILINE,
)
"""What `Usage.describe` says, as in a job's log."""


@dataclass(frozen=True)
class Usage:
    """What a job used.

    Attributes:
        cpu: seconds, of all threads and of processes that it started and that have ended.
        memory: bytes in the computer's memory at most, files that are mapped included.
        asked: bytes that it asked for; 0 if it did not say.
        gpu: bytes of tensors in the GPU's memory at most, what torch keeps beside them included; 0 without a GPU.
    """

    cpu: float
    memory: int
    asked: int = 0
    gpu: int = 0

    def describe(self) -> str:
        """Return it in words."""
        asked = f" of {self.asked / 1e9:.2f}" if self.asked else ""
        gpu = f", {self.gpu / 1e9:.2f} GB of the GPU's" if self.gpu else ""
        return f"used {self.cpu:.1f} s of CPU and at most {self.memory / 1e9:.2f}{asked} GB of memory{gpu}"


def measure_usage(mem_mb: int = 0) -> Usage:
    """Return what this process has used.

    Args:
        mem_mb: what the job asked for.
    """
    times = os.times()
    found = re.search(r"VmHWM:\s+(\d+) kB", STATUS.read_text())
    torch = sys.modules.get("torch")  # not imported for this
    gpu = torch.cuda.max_memory_reserved() if torch and torch.cuda.is_initialized() else 0
    return Usage(
        times.user + times.system + times.children_user + times.children_system,
        int(found[1]) * 1024 if found else 0,
        int(mem_mb) * 10**6,
        gpu,
    )


def read_usage(log: str) -> Usage | None:
    """Return what a job's log says of this; None if it does not, as of a job that was killed."""
    if not (said := SAID.search(log)):
        return None
    cpu, memory, asked, gpu = (float(said[name] or 0) for name in ("cpu", "memory", "asked", "gpu"))
    return Usage(cpu, round(memory * 1e9), round(asked * 1e9), round(gpu * 1e9))
