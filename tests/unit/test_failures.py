"""What is said at the end of a run that failed. Under a second."""

import os

import pytest

from promptmix.running.failures import MOST, report

TIME = "2026-11-23 01:00:29,872"


@pytest.fixture
def log(tmp_path):
    """Write the log of a job, `age` seconds after the run began."""

    def log(name, *lines, age=10):
        file = tmp_path / "logs" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{line}\n" for line in lines))
        os.utime(file, (1000 + age, 1000 + age))
        return file

    return log


def test_a_failed_job_is_named_with_its_log_and_the_reason(log, tmp_path):
    file = log(
        "annotate_images/000.log",
        f"{TIME} INFO computing on GPU 0, 4 threads",
        f"{TIME} INFO Traceback (most recent call last):",
        "ValueError: 3",
        f"{TIME} ERROR annotate_images failed. seed-00003.jpg: the image is missing.",
        "Two lines can be needed to say what to do",
    )
    assert report(tmp_path / "logs", 1000) == (
        f"1 job failed:\n  {file}\n    annotate_images failed. seed-00003.jpg: the image is missing.\n"
        "    Two lines can be needed to say what to do"
    )


def test_a_killed_job_is_named_with_the_last_that_it_said(log, tmp_path):
    log("train.log", f"{TIME} INFO computing on the CPU, 1 threads", f"{TIME} INFO 3 of 500 epochs, 20 min left")
    log("silent.log")
    text = report(tmp_path / "logs", 1000)
    assert text.startswith("2 jobs failed:\n")
    assert "train.log\n    killed; its last message: 3 of 500 epochs, 20 min left" in text
    assert "silent.log\n    killed; its last message: none" in text


def test_others_are_not(log, tmp_path):
    log("finished.log", f"{TIME} WARNING a prompt has 90 tokens", f"{TIME} INFO done")
    log("stopped.log", f"{TIME} ERROR train_network was stopped by SIGINT; run the same command again to resume")
    log("of/an/earlier/run.log", f"{TIME} ERROR train_network failed. No", age=-1)
    assert report(tmp_path / "logs", 1000) == report(tmp_path / "nowhere", 1000) == ""


def test_of_very_many_the_first_are_named(log, tmp_path):
    for number in range(MOST + 5):
        log(f"{number:03d}.log", f"{TIME} ERROR generate_images failed. No")
    lines = report(tmp_path / "logs", 1000).splitlines()
    assert lines[0] == f"{MOST + 5} jobs failed:" and lines[-1] == "  and 5 more" and len(lines) == 2 * MOST + 2
