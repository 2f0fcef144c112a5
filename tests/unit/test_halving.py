"""Halving: trainings with each prompt end as soon as they tell whether its images do harm."""

import math
from dataclasses import replace

import pandas as pd
import pytest
from support.configs import put, small
from support.trainings import SETTINGS, TinyIndex, assert_equal_runs, make_fake, run

from promptmix.config.validation import check, resolve
from promptmix.errors import InputError
from promptmix.preflight.jobs import Jobs
from promptmix.records.halving import HALVING
from promptmix.records.histories import HISTORY
from promptmix.report.tables import saved_by_halving
from promptmix.synthesis.halving import conclude, find_left, halve_prompts
from promptmix.training import loop
from promptmix.training.rungs import train_rung

HALVING_FILTER = {"prompt_filter": {"method": "halving"}}


pytestmark = pytest.mark.usefixtures("one_thread")


# --- Experiments ---


def resolved(change):
    config = small()
    config["experiments"]["filtered"] |= change
    check(config)
    return resolve(config)


@pytest.mark.parametrize(
    ("epochs", "every", "rungs"),
    [
        (500, 1, [16, 32, 63, 125, 250]),
        (500, 10, [20, 40, 70, 130, 250]),  # where there is a validation error
        (16, 1, [1, 2, 4, 8]),
        (3, 1, [1, 2]),
        (1, 1, [1]),
        (7, 10, [7]),
    ],
)
def test_rungs_are_a_32nd_to_a_half_of_the_epochs(epochs, every, rungs):
    plan, _ = resolved(HALVING_FILTER | {"training": {"epochs": epochs, "validate_every": every}})
    assert plan.written["filtered"].rungs == rungs


def test_halving_has_an_experiment_for_each_prompt_and_trains_none_in_full():
    plan, _ = resolved(HALVING_FILTER)
    experiment = plan.written["filtered"]
    assert (experiment.fake.prompt_filter, experiment.fake.halving, experiment.fake.is_open) == (True, True, True)
    assert len(experiment.single_prompts) == 7
    assert not any(plan.experiments[name].fake.halving for name in experiment.single_prompts.values())
    assert plan.needs("filtered").experiments == {"filtered", experiment.baseline}
    full, _ = resolved({})
    assert full.written["filtered"].key != experiment.key


def test_halving_is_in_the_name_and_in_the_table():
    row = {"dataset": "shtb", "network": "rescsrnet", "pools": ["places"], "k": 10, "r_mix": 20}
    config = small()
    config["tables"]["filters"] = {"rows": [row | {"prompt_filter": True}, row | HALVING_FILTER]}
    check(config)
    _, targets = resolve(config)
    names = [one.experiment for one in targets["filters"].rows if one.experiment.count("promptmix")]
    assert names[1] == f"{names[0]}-halving"
    cells = {one.experiment: one.labels["Prompt filtering"] for one in targets["filters"].rows}
    assert [cells[name] for name in names] == ["yes", "by halving"]


@pytest.mark.parametrize("value", [{}, {"method": "halve"}, {"method": "halving", "rungs": 3}, "halving"])
def test_an_unknown_prompt_filter_is_an_error(value):
    config = small()
    put(config, "experiments.filtered.prompt_filter", value)
    with pytest.raises(InputError, match="experiments.filtered.prompt_filter"):
        check(config)


def test_the_plan_counts_what_halving_trains_with():
    config = small()
    config["experiments"]["filtered"] |= HALVING_FILTER | {"training": {"epochs": 32}}
    config["tables"] = {"named": config["tables"]["named"]}
    config["figures"], config["preflight"] = {}, ["named"]
    check(config)
    plan, targets = resolve(config)
    jobs = Jobs(plan, targets, "none/{dataset}").of_target("named")
    rungs = {}
    for job in jobs:
        if job.rule == "train_rung":
            rungs.setdefault(dict(job.wildcards)["rung"], []).append(job)
    single = plan.experiments["filtered-prompt-0"]
    one = 360 + single.fake.r_mix * (1024 * 768) / (1024 * 768)
    trained = {rung: sum(work.passes for job in found for work in job.work) for rung, found in rungs.items()}
    # 7 prompts with 2 rates and 3 repeats for an epoch, then 4 with 1 rate, then 2, then 1
    expected = {"1": 7 * 2 * 3 * 1, "2": 4 * 1 * 3 * 1, "3": 2 * 3 * 2, "4": 1 * 3 * 4, "5": 1 * 3 * 8}
    assert trained == pytest.approx({rung: runs * one for rung, runs in expected.items()}, rel=0.5)
    assert trained["1"] / trained["2"] == pytest.approx(42 / 12)
    assert {rung: len(found) for rung, found in rungs.items()} == dict.fromkeys("12345", 7)
    assert sum(job.rule == "halve_prompts" for job in jobs) == 5
    assert sum(job.rule == "conclude_halving" for job in jobs) == 1
    assert not any("prompt" in dict(job.wildcards)["experiment"] for job in jobs if job.rule == "train_network")


# --- Decisions ---


def prompts(number):
    return pd.DataFrame({"pool": "p", "prompt_number": range(number), "prompt": [f"text {i}" for i in range(number)]})


def history(path, errors, name="one", updates=5):
    """Write the histories of runs by learning rate and repeat, each a list of validation errors by epoch."""
    rows = []
    for (rate, repeat), values in errors.items():
        for epoch, error in enumerate(values, start=1):
            row = {"experiment": name, "learning_rate": rate, "repeat": repeat, "epoch": epoch, "lr": 0.1, "loss": 1.0}
            row |= {"val_error": error, "images": 9, "generated": 4, "updates": updates, "seconds": 1.0}
            rows.append(row)
    HISTORY.write(path, rows)
    return path


def halve(tmp_path, errors, baseline=(10.0,), before=None, until=1, **settings):
    """Decide about prompts by the errors of each, by learning rate and repeat; of a number the only one."""
    runs = {i: one if isinstance(one, dict) else {("1e-3", 0): [one]} for i, one in enumerate(errors)}
    files = {("p", i): history(tmp_path / f"{i}.csv", one) for i, one in runs.items()}
    of_baseline = [history(tmp_path / "baseline.csv", {("1e-3", 0): list(baseline)})]
    settings = {"epochs": 100} | settings
    return halve_prompts(prompts(len(errors)), before, of_baseline, files, until, **settings)


def test_the_half_that_is_furthest_from_the_baseline_is_decided(tmp_path):
    found = halve(tmp_path, [10.1, 15.0, 9.9, 4.0, 12.0])
    assert found["verdict"].tolist() == ["", "dropped", "", "kept", ""]
    assert list(found) == [*HALVING.columns]
    assert found["baseline"].tolist() == [10.0] * 5 and found["epochs"].tolist() == [1] * 5


def test_at_the_last_rung_all_are_decided_and_an_equal_error_does_no_harm(tmp_path):
    found = halve(tmp_path, [10.1, 10.0, 9.9], is_last=True)
    assert found["verdict"].tolist() == ["dropped", "kept", "kept"]
    HALVING.write(tmp_path / "found.csv", found)
    assert conclude(tmp_path / "found.csv")["kept"].tolist() == [0, 1, 1]


def test_a_decision_stands(tmp_path):
    first = halve(tmp_path, [10.1, 15.0, 9.9])
    HALVING.write(tmp_path / "first.csv", first)
    before = HALVING.read(tmp_path / "first.csv")
    longer = {
        i: {("1e-3", 0): [before_, after]} for i, (before_, after) in enumerate([(10.1, 9.0), (1, 1), (9.9, 9.8)])
    }
    found = halve(tmp_path, list(longer.values()), [10.0, 9.5], before, 2, is_last=True)
    assert found["verdict"].tolist() == ["kept", "dropped", "dropped"]
    assert found["val_error"].tolist() == [9.0, 15.0, 9.8] and found["baseline"].tolist() == [9.5, 10.0, 9.5]
    assert found["epochs"].tolist() == [2, 1, 2] and found["updates"].tolist() == [10, 5, 10]
    assert found["updates_in_full"].tolist() == [500] * 3


def test_the_baseline_is_looked_at_in_as_many_epochs(tmp_path):
    assert halve(tmp_path, [9.0], [10.0, 1.0], is_last=True)["verdict"].tolist() == ["kept"]
    assert halve(tmp_path, [9.0], [10.0, 1.0], until=2, is_last=True)["verdict"].tolist() == ["dropped"]


def test_the_better_half_of_the_learning_rates_goes_on(tmp_path):
    runs = {("1e-2", 0): [9.0], ("1e-2", 1): [13.0], ("1e-3", 0): [10.0], ("1e-3", 1): [10.0], ("1e-4", 0): [20.0]}
    runs |= {("1e-4", 1): [20.0]}
    (row,) = halve(tmp_path, [runs]).to_dict("records")
    assert (row["learning_rates"], row["val_error"], row["updates"], row["updates_in_full"]) == (
        "1e-2 1e-3",
        10,
        30,
        3000,
    )


def test_a_prompt_whose_trainings_diverged_is_dropped_at_once(tmp_path):
    found = halve(tmp_path, [math.nan, 9.9, {("1e-3", 0): [9.0], ("1e-3", 1): [math.nan]}])
    assert found["verdict"].tolist() == ["dropped", "", "dropped"]
    assert found["learning_rates"].tolist() == ["", "1e-3", ""]
    assert found["val_error"].isna().tolist() == [True, False, True]


def test_a_baseline_that_diverged_is_an_error(tmp_path):
    with pytest.raises(InputError, match="without generated images diverged within 1 epochs"):
        halve(tmp_path, [9.0], [math.nan])


def test_prompts_without_trainings_are_an_error(tmp_path):
    file = history(tmp_path / "a.csv", {("1e-3", 0): [1.0]})
    with pytest.raises(InputError, match=r"prompt 1 \(from 0\) of pool p has no experiment"):
        halve_prompts(prompts(2), None, [file], {("p", 0): file}, 1, 2)


def test_that_no_prompt_is_left_is_said(tmp_path, caplog):
    HALVING.write(tmp_path / "found.csv", halve(tmp_path, [11.0, 12.0], is_last=True))
    assert conclude(tmp_path / "found.csv")["kept"].tolist() == [0, 0]
    assert "every prompt is dropped" in caplog.text


def test_the_table_says_how_many_updates_were_saved(tmp_path):
    HALVING.write(tmp_path / "found.csv", halve(tmp_path, [9.0, 12.0]))
    (note,) = saved_by_halving({"it": tmp_path / "found.csv"})
    assert "it: 10 updates in place of 1000, 99 % less." in note
    assert list(saved_by_halving({})) == []


# --- Trainings ---


def test_a_training_that_stops_at_rungs_ends_with_the_same_bits(tmp_path):
    settings, fake = replace(SETTINGS, r_mix=4, epochs=6, flip=True), make_fake(tmp_path / "fake")
    undisturbed = run(tmp_path / "a", settings, fake)
    for until in (1, 3, 2):  # the last goes no further than the one before
        train_history = part_of(tmp_path / "b", settings, fake, until)
        pd.testing.assert_frame_equal(
            train_history.drop(columns="seconds"), undisturbed[1][:until].drop(columns="seconds")
        )
        assert (tmp_path / "b/state.pt").exists() and not (tmp_path / "b/checkpoint.safetensors").exists()
    assert_equal_runs(undisturbed, run(tmp_path / "b", settings, fake))
    assert not (tmp_path / "b/state.pt").exists()


def part_of(folder, settings, fake, until):
    loop.train(settings, TinyIndex(), fake, folder, "cpu", until=until)
    return HISTORY.read(folder / "history.csv")


def test_rungs_go_on_where_those_before_have_stopped(tmp_path, monkeypatch):
    fake, settings = make_fake(tmp_path / "fake"), replace(SETTINGS, r_mix=4, epochs=8)
    runs = {rate: [replace(settings, learning_rate=float(rate))] for rate in ("1e-3", "1e-4")}
    folder, seen = tmp_path / "single", []
    plan_epoch = loop.plan_epoch
    monkeypatch.setattr(loop, "plan_epoch", lambda *args: seen.append(args[-1]) or plan_epoch(*args))

    def rung(number, until, left, is_last=False, where=folder):
        out = where / f"rung-{number}.csv"
        train_rung(runs, until, left, TinyIndex(), fake, out, "cpu", experiment="single", is_last=is_last)
        return HISTORY.read(out)

    def states(where=folder):
        return sorted(str(path.relative_to(where)) for path in where.rglob("state.pt"))

    first = rung(1, 1, ["1e-3", "1e-4"])
    assert first["learning_rate"].tolist() == ["1e-3", "1e-4"] and set(first["experiment"]) == {"single"}
    assert states() == ["lr-1e-3/repeat-0/state.pt", "lr-1e-4/repeat-0/state.pt"]
    second = rung(2, 3, ["1e-4"])
    assert second["epoch"].tolist() == [1, 2, 3] and seen == [1, 1, 2, 3]
    assert states() == ["lr-1e-4/repeat-0/state.pt"]
    anew = rung(2, 3, ["1e-4"], where=tmp_path / "anew")  # without the state of the rung before
    pd.testing.assert_frame_equal(second.drop(columns="seconds"), anew.drop(columns="seconds"))
    rung(3, 4, ["1e-4"], is_last=True)
    assert [path.name for path in sorted(folder.iterdir())] == ["rung-1.csv", "rung-2.csv", "rung-3.csv"]
    assert rung(2, 3, [], where=tmp_path / "anew").empty  # decided meanwhile
    assert not states(tmp_path / "anew")


def test_what_is_left_of_a_prompt(tmp_path):
    assert find_left(None, "p", 0, ["1e-3", "1e-4"]) == ["1e-3", "1e-4"]
    HALVING.write(tmp_path / "found.csv", halve(tmp_path, [9.9, 15.0]))
    assert [find_left(tmp_path / "found.csv", "p", number, ["1e-3", "1e-4"]) for number in (0, 1)] == [["1e-3"], []]
    with pytest.raises(InputError, match=r"0 rows of prompt 2 \(from 0\) of pool p; expected one"):
        find_left(tmp_path / "found.csv", "p", 2, ["1e-3"])
