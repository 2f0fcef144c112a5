"""Which jobs of a run have failed, and why, from the last messages of their logs (see `promptmix.running.job`)."""

import re
from pathlib import Path

LINE = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} ([A-Z]+) ", flags=re.M)
"""The beginning of a message in a log."""

MOST = 20
"""The most jobs to name; any more are only counted."""


def report(logs: str | Path, since: float) -> str:
    """Return a text that lists the jobs that failed since a time (seconds since 1970), with log and reason; "" if none.

    The last message of a job that succeeded is "done", that of a failed one is an error, and one that was stopped says
    so. A log that ends in any other way is that of a killed job (the kernel kills jobs if memory runs out): its last
    message is shown.

    Args:
        logs: folder of the logs. A job that could not even start has no log and is not listed.
    """
    found = []
    for file in sorted(Path(logs).rglob("*.log")):
        if file.stat().st_mtime < since:
            continue
        text = file.read_text(errors="replace")
        *_, level, what = "", *LINE.split(text)
        what = what.strip()
        if what == "done" or " was stopped by SIG" in what:
            continue
        if level != "ERROR":
            what = f"killed; its last message: {what or 'none'}"
        found.append(f"  {file}\n    " + what.replace("\n", "\n    "))
    if not found:
        return ""
    more = [f"  and {len(found) - MOST} more"] if len(found) > MOST else []
    return "\n".join([f"{len(found)} job{'s' * (len(found) > 1)} failed:", *found[:MOST], *more])
