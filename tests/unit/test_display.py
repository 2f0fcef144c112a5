"""What a person sees of a run: the display of `--logger promptmix`, fed with the log records of a real run."""

import json
import logging
import os
import pty
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from snakemake.settings.enums import Quietness
from snakemake.settings.types import OutputSettings
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.settings import LogHandlerSettingsBase
from snakemake_logger_plugin_promptmix import LogHandler
from snakemake_logger_plugin_promptmix.display import Run, duration, result_of, table_of

RECORDS = Path(__file__).parents[1] / "data/run.jsonl"
"""The records of a run that made Table I at the scale of the tests, with the times at which they came."""


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    """A folder with what the recorded run left, and the time zone of the records."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PROMPTMIX_OPTIONS", "--configfile config.yaml --cores 2")
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    for name in ("baseline", "promptmix"):
        Path(name).mkdir()
    yield
    monkeypatch.undo()
    time.tzset()


def records():
    for line in RECORDS.read_text().splitlines():
        found = json.loads(line)
        event = found.pop("event")
        yield logging.makeLogRecord(found | {"event": event and LogEvent(event)})


def write(path, text):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)
    return str(path)


HISTORY = "results/tiny/runs/shtb-rescsrnet/lr-1e-3/repeat-0/history.csv"


def test_a_line_per_job_says_how_far_the_run_is_what_came_out_and_what_is_left():
    write(HISTORY, "epoch,val_error\n1,5.188\n2,\n3,4.917\n")
    run = Run()
    lines = [line for record in records() if (line := run.take(record))]
    assert "starts: Rendering shtb" in lines[0]
    assert re.search(r"  1 of 22, render_dataset 1 of 1: Rendering shtb \(\d+ s\)$", lines[1])
    (trained,) = (line for line in lines if "shtb-rescsrnet, learning rate 1e-3, repeat 0" in line and "of 22" in line)
    assert "train_network 1 of 6: Training" in trained and "validation error 4.92" in trained
    assert re.search(r"at least \d+ (s|min) left, \d\d:\d\d:\d\d\)$", trained)
    assert len(lines) == 2 * 22 and "22 of 22, show_table 1 of 1" in lines[-1]


def test_the_status_is_one_line_with_jobs_time_left_and_what_is_running():
    run, seen = Run(), []
    for record in records():
        run.take(record)
        seen.append(run.status())
    assert all("\n" not in line for line in seen)
    assert any(re.search(r"^4 of 22 jobs · .* left, .* · caption_images 0 of 1 · Captioning", line) for line in seen)
    assert any("train_network 3 of 6" in line for line in seen)


def test_the_time_left_goes_by_what_each_rule_takes():
    run = Run()

    def take(event, second, **facts):
        record = logging.makeLogRecord({"event": event, "created": float(second), "msg": ""} | facts)
        return run.take(record)

    take(LogEvent.RUN_INFO, 0, stats={"short": 2, "long": 4, "total": 6})
    for i, (rule, start, end) in enumerate([("short", 0, 10), ("long", 10, 110), ("long", 110, 210)]):
        take(LogEvent.JOB_INFO, start, jobid=i, rule_name=rule, rule_msg=rule, input=[], output=[f"{i}"])
        line = take(LogEvent.JOB_FINISHED, end, job_id=i)
        if i == 0:
            assert "at least 10 s left, 00:00:20" in line  # of the long ones nothing is known
    assert "about 4 min left, 00:07:00" in line  # 10 s and 2 x 100 s
    take(LogEvent.JOB_INFO, 210, jobid=4, rule_name="long", rule_msg="long", input=[], output=["4"])
    take(None, 270)
    assert "about 2 min left, 00:07:00" in run.status()


def test_at_the_end_stand_the_table_in_100_columns_and_the_report_s_command():
    head = ["Dataset", "Method", "MAE", "Change of MAE to the baseline", "Paper's MAE"]
    rows = [["SHTB", r"a \| b", "**12.34 ± 1.02**", "−1.20, −11.0 % [−2.10, −0.30] " + "unresolved " * 9, "—"]]
    lines = [head, ["---"] * 5, *rows, ["*Not in the paper:*", *[""] * 4]]
    write("tables/table1.md", "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n\nA note.\n")
    run = Run()
    for record in records():
        assert run.summary() == "" or run.done == 22
        run.take(record)
    summary = run.summary()
    assert max(map(len, summary.splitlines()[:-1])) <= 100
    for text in ("22 jobs in ", "tables/table1.md", "a | b", "12.34 ± 1.02", "Not in the paper:", "tables/table1.tex"):
        assert text in summary
    assert "*" not in summary and "history.csv" not in summary
    assert "snakemake tables/table1.md --report report.html --configfile config.yaml --cores 2" in summary


def test_a_table_of_many_columns_is_not_wider_than_100():
    head = [f"A column {i}" for i in range(16)]
    lines = [head, ["---"] * 16, ["inseparable"] * 16]
    file = write("wide.md", "\n".join(f"| {' | '.join(line)} |" for line in lines))
    found = table_of(file)
    assert max(map(len, found.splitlines())) <= 100
    assert "".join(found.split()).count("p") == 16


def test_results_are_read_from_what_jobs_leave():
    assert result_of((write("runs/a/selection.json", '{"learning_rate": "1e-3", "val_error": 4.5678}'),)) == (
        "1e-3, validation error 4.57"
    )
    counts = write("runs/a/predictions.csv", "image,error\n1,-2\n2,4\n")
    assert result_of((counts,)) == "MAE 3 on the test split"
    depth = write("runs/b/predictions.csv", "image,squared_full\n1,2\n")
    diverged = write("runs/c/history.csv", "epoch,val_error\n1,\n")
    for file in (depth, diverged, "gone/history.csv", "fake/a.csv"):
        assert result_of((file,)) == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min"), (3570, "1 h 0 min"), (12000, "3 h 20 min"), (187200, "2 d 4 h")],
)
def test_times_are_said_in_their_largest_units(seconds, text):
    assert duration(seconds) == text


# --- In Snakemake ---

SNAKEFILE = """
rule all:
    input: "tables/a.md", "b"
rule a:
    output: "tables/a.md"
    message: "Writing a"
    shell: "printf '| A |\\n|---|\\n| 7.5 |\\n' > {output}"
rule b:
    output: "b"
    log: "b.log"
    message: "Writing b"
    shell: "{command} > {output}"
"""


def start(command, words=(), **more):
    write("Snakefile", SNAKEFILE.replace("{command}", command))
    line = [sys.executable, "-m", "snakemake", "--cores", "1", *words]
    return subprocess.Popen(line, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, **{"text": True, **more})


def test_in_a_log_file_each_job_has_plain_lines_and_the_end_has_the_results():
    process = start("echo", ["--logger", "promptmix"], stderr=subprocess.STDOUT)
    text = process.communicate()[0]
    assert process.returncode == 0, text
    assert "\x1b" not in text and "\r" not in text
    for part in ("Job stats:", "starts: Writing a", "1 of 1: Writing b (", "3 of 3", "7.5", "--report report.html"):
        assert part in text
    assert "Select jobs" not in text and "Finished jobid" not in text


def test_errors_of_jobs_and_of_snakemake_are_printed_as_without_the_display():
    process = start("echo before >&2; false", ["--logger", "promptmix", "--keep-going"], stderr=subprocess.STDOUT)
    text = process.communicate()[0]
    assert process.returncode == 1
    for part in (
        "before",
        "Error in rule b:",
        "b.log (check log file(s) for error details)",
        "command exited with non-zero",
    ):
        assert part in text
    assert "at least one job did not complete successfully" in text.lower()
    assert "Results:" not in text


def at_a_terminal(command, *words):
    """Return what a terminal gets to see of a run."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "80"}
    process = start(command, words, stderr=theirs, env=environment, text=False)
    os.close(theirs)
    found = b""
    try:
        while part := os.read(ours, 4096):
            found += part
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    process.communicate()
    return found.decode()


def test_at_a_terminal_the_last_line_says_how_far_the_run_is_and_is_wiped_for_others():
    text = at_a_terminal("echo")
    assert re.search(r"\r\x1b\[K[01] of 3 jobs · .*Writing [ab]", text)
    left = text.rsplit("\x1b[K", 1)[1]
    assert "3 jobs in" in left and "7.5" in left and "--report report.html" in left
    lines = [line for part in text.split("\n") for line in part.split("\r") if " of 3 jobs" in line]
    assert lines and max(len(line.replace("\x1b[K", "")) for line in lines) < 80


@pytest.mark.parametrize(
    "asked", [{"quiet": {Quietness.RULES}}, {"verbose": True}, {"printshellcmds": True}, {"dryrun": True}]
)
def test_who_asks_snakemake_for_more_or_less_gets_its_own_display(asked, capsys):
    for settings in (OutputSettings(), OutputSettings(**asked)):
        handler = LogHandler(settings, LogHandlerSettingsBase())
        handler.setFormatter(logging.Formatter("of Snakemake: %(message)s"))
        for record in records():
            handler.handle(record)
        printed = capsys.readouterr().err
        assert ("starts:" in printed) == (settings == OutputSettings())
        assert ("of Snakemake: Finished jobid" in printed) == (settings != OutputSettings())
