"""Which jobs of a run have failed, and why: what their logs end with (`promptmix.running.job`)."""

import re
from pathlib import Path

LINE = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} ([A-Z]+) ", flags=re.M)
"""How a message in a log begins."""

MOST = 20
"""Jobs to name; the others are counted."""


def report(logs: str | Path, since: float) -> str:
    """Return a list of the jobs that have failed since a time (in seconds since 1970), each with its log and the reason.

    A job that ends well says "done" at last, and one that was told to stop says so. What ends otherwise was killed, as
    the kernel does if memory runs out, and the last that it said is shown. "" if there is nothing to tell.

    Args:
        logs: folder of the logs. Jobs that could not even start have none, and are not here.
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
            what = f"killed, after it had said: {what or 'nothing'}"
        found.append(f"  {file}\n    " + what.replace("\n", "\n    "))
    if not found:
        return ""
    more = [f"  and {len(found) - MOST} more"] if len(found) > MOST else []
    return "\n".join([f"{len(found)} job{'s' * (len(found) > 1)} failed:", *found[:MOST], *more])
