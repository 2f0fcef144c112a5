"""What tables and figures cost is predicted from counted operations and a rate, and shown beside what was spent."""

import json
from pathlib import Path

import pytest
from support.configs import put, small, smallest

from promptmix.config import blocks
from promptmix.config.validation import check, resolve
from promptmix.errors import InputError
from promptmix.networks import cost
from promptmix.preflight import rates
from promptmix.preflight.costing import Rule, as_markdown, estimate, wall_time
from promptmix.preflight.jobs import ASSUMED, Job, Jobs, Work
from promptmix.preflight.operations import Operations

ROOT = Path(__file__).parents[2]
IMAGE = 10**9
"""Operations of an image, whatever it is, unless a test counts them."""

ON_GPU = ("caption_images", "caption_generated", "generate_images", "restore_faces", "annotate_images")
ON_GPU += ("fine_tune_annotator", "train_network", "evaluate_network", "evaluate_annotator", "draw_predictions")


class Rules(dict):
    """Rules of any name, each with a file and a record that are named by all wildcards of the job."""

    WILDCARDS = {
        "prepare_dataset": "{dataset}",
        "generate_images": "{pool}/{generator}/block-{block}",
        "train_network": "{experiment}-{lr}-{repeat}",
        "evaluate_network": "{experiment}",
    }

    def __missing__(self, name):
        files = self.WILDCARDS.get(name, "never")
        return Rule([f"made/{name}/{files}"], f"records/{name}/{files}.tsv", name in ON_GPU)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty working folder, and images whose operations are known."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Operations, "of_image", lambda self, work: IMAGE)
    return tmp_path


def one_table(**plan):
    """Return a config of one table with one baseline, of 360 + 40 training and validation and 316 test images."""
    config = smallest()
    config["tables"] = {"table1": {"rows": [{"dataset": "shtb", "network": "rescsrnet"}], "methods": ["baseline"]}}
    config["tables"]["table1"]["ours"] = {"methods": []}
    put(config, "training.default.learning_rates", ["1e-3", "1e-4"])
    put(config, "training.default.repeats", 3)
    config["plan"] = plan
    return config


def costs(config, at_once=1, device="cpu"):
    check(config)
    return estimate(*resolve(config), Rules(), at_once, 4, device)


def write(path, text=""):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)


def record(path, seconds):
    write(f"records/{path}.tsv", f"s\th:m:s\n{seconds}\t0:00:01\n")


# --- Predictions ---


def test_a_training_costs_three_passes_of_its_images_and_one_of_those_it_validates():
    found = costs(one_table(tflops=0.01, watts=100))
    by_rule = {row["rule"]: row for row in found.rules}
    runs, epochs = 6, 2
    assert by_rule["train_network"]["jobs"] == runs
    assert by_rule["train_network"]["operations"] == runs * epochs * (3 * 360 + 40) * IMAGE
    assert by_rule["evaluate_network"]["operations"] == 3 * 316 * IMAGE
    row = found.targets[0]
    seconds = (runs * epochs * (3 * 360 + 40) + 3 * 316) * IMAGE / 0.01e12 + (runs + 1) * rates.START
    assert row["hours"] == pytest.approx(seconds / 3600)
    assert row["kwh"] == pytest.approx(0.1 * seconds / 3600)
    assert (
        row["jobs"] == 1 + runs + 1 + 1 + 1 + 1 + 1
    )  # dataset, runs, selection, evaluation, table, curves, and both shown


def test_more_devices_take_less_time_and_as_many_hours():
    one, six = (costs(one_table(tflops=0.01), at_once=number).targets[0] for number in (1, 6))
    assert six["hours"] == one["hours"]
    assert one["wall_hours"] > 4 * six["wall_hours"]


def test_what_tables_share_is_counted_once_in_all():
    config = one_table(tflops=1)
    config["tables"]["again"] = config["tables"]["table1"]
    found = costs(config)
    first, again, everything = found.targets
    assert first["jobs"] == again["jobs"]
    assert everything["jobs"] == first["jobs"] + 3  # the table, its curves, and both shown
    assert everything["hours"] == first["hours"]
    assert any(f"{2 * first['jobs']} jobs in the rows, {everything['jobs']} in all" in note for note in found.notes)


def test_generated_images_are_counted_once_by_block():
    config = small() | {"plan": {"tflops": 1}}
    found = {row["name"]: row for row in costs(config).targets}
    assert found["colours"]["images"] == 2 * 2
    assert found["roundtrip"]["images"] < found["all"]["images"]


def test_rendered_images_in_the_place_of_generated_ones_are_labelled_and_trained_on_like_real_ones():
    row = {"dataset": "panda", "network": "rescsrnet", "annotator": "sasnet"}
    tables = {name: {"rows": [row | {"rendered": name}]} for name in ("truth", "annotator")}
    config = small() | {"tables": tables, "figures": {}, "preflight": ["truth"]}
    check(config)
    jobs = Jobs(*resolve(config), "none/{dataset}")
    for name, predicted in (("truth", []), ("annotator", [300])):
        found = {job.rule: job for job in jobs.of_target(name)}
        assert not {"generate_images", "annotate_images", "mix_dataset"} & set(found)
        assert [work.passes for work in found["render_fake"].work] == predicted
        mixed = next(
            job for job in jobs.of_target(name) if job.rule == "train_network" and "rendered" in str(job.wildcards)
        )
        assert mixed.work[0].passes == 500 * (30 + 30)


def test_prompts_that_a_language_model_writes_are_a_job_after_the_captions():
    config = small()
    config["pools"]["shtb-captions"]["written_by"] = {"model": "models/qwen", "count": 2, "precision": "bfloat16"}
    check(config)
    jobs = Jobs(*resolve(config), "none/{dataset}").of_target("amounts")
    (texts,) = (job for job in jobs if job.rule == "write_texts")
    (work,) = texts.work
    assert (work.kind, work.model, work.precision, work.passes) == ("write", "shtb-captions", "float16", 720)
    assert "caption_images" in {job.rule for job in texts.after}
    assert [job.rule for job in jobs if texts in job.after] == ["write_prompts"]


def test_a_model_of_transformers_annotates_and_mirrored_images_are_annotated_too():
    config = small() | {"figures": {}, "preflight": ["table1"]}
    config["annotators"]["people"] = {"model": "models/detr", "task": "counting", "label": "person", "flip": True}
    row = {"dataset": "shtb", "network": "rescsrnet", "annotator": "people"}
    config["tables"] = {"table1": {"rows": [row]}}
    check(config)
    jobs = Jobs(*resolve(config), "none/{dataset}").of_target("table1")
    annotated = [job for job in jobs if job.rule == "annotate_images"]
    assert annotated
    for job in annotated:
        (work,) = job.work
        assert (work.kind, work.model, json.loads(work.settings)["task"]) == ("annotate", "models/detr", "counting")
        assert work.passes == 2 * len(blocks.seeds_of(dict(job.wildcards)["block"]))
        assert job.counted


def test_every_table_and_figure_has_a_row():
    config = small() | {"plan": {"tflops": 1}}
    found = costs(config)
    assert [row["name"] for row in found.targets] == [*config["tables"], *config["figures"], "all"]
    assert all(row["jobs"] and row["bytes"] and row["wall_hours"] for row in found.targets)


def test_images_whose_size_nobody_knows_are_said():
    config = one_table(tflops=1)
    assert any("shtb" in note and f"{ASSUMED[0]}x{ASSUMED[1]}" in note for note in costs(config).notes)
    put(config, "datasets.shtb.facts", {"size": [640, 480]})
    assert not any(f"{ASSUMED[0]}x{ASSUMED[1]}" in note for note in costs(config).notes)


def test_a_dataset_that_is_prepared_tells_its_sizes():
    write("made/prepare_dataset/shtb", "image,width,height\na,100,50\nb,100,50\nc,50,50\n")
    config = one_table(tflops=1)
    check(config)
    plan, targets = resolve(config)
    jobs = Jobs(plan, targets, "made/prepare_dataset/{dataset}").of_target("table1")
    work = next(job.work[0] for job in jobs if job.rule == "evaluate_network")
    assert work.size == (100, 50)
    assert work.passes == pytest.approx(3 * 316 * (5000 + 5000 + 2500) / 3 / 5000)


def test_without_a_rate_hours_are_unknown_and_the_remedy_is_said():
    found = costs(one_table())
    assert found.targets[0]["jobs"] and found.targets[0]["hours"] is None
    assert any("calibrate: true" in note for note in found.notes)


# --- Done, spent and left ---


def test_a_job_is_done_if_all_before_it_is():
    write("made/evaluate_network/shtb-rescsrnet")
    assert costs(one_table()).targets[0]["jobs_done"] == 0
    write("made/prepare_dataset/shtb", "image,width,height\na,100,50\n")
    assert costs(one_table()).targets[0]["jobs_done"] == 1


def test_what_is_left_follows_the_records_of_its_rule():
    config = one_table(tflops=0.01)
    before = costs(config).targets[0]
    assert before["hours_spent"] == 0 and before["hours_left"] == before["hours"]
    write("made/prepare_dataset/shtb", "image,width,height\na,100,50\n")
    write("made/train_network/shtb-rescsrnet-1e-3-0")
    one = rates.START + 2 * (3 * 360 + 40) * IMAGE / 0.01e12
    record("train_network/shtb-rescsrnet-1e-3-0", 2 * one)
    found = costs(config)
    row = found.targets[0]
    assert row["hours"] == pytest.approx(before["hours"])
    assert row["hours_spent"] == pytest.approx(2 * one / 3600)
    rest = rates.START + 3 * 316 * IMAGE / 0.01e12
    assert row["hours_left"] == pytest.approx((5 * 2 * one + rest) / 3600)
    assert "-50 %" in as_markdown(found, "small")


def test_records_alone_give_a_rate():
    one = rates.START + 2 * (3 * 360 + 40) * IMAGE / 0.02e12
    record("train_network/shtb-rescsrnet-1e-3-0", one)
    found = costs(one_table())
    assert any("0.02 TFLOPS" in note and "records of 1 job" in note for note in found.notes)
    assert found.targets[0]["hours"] == pytest.approx((6 * one + rates.START + 3 * 316 * IMAGE / 0.02e12) / 3600)


def test_enough_records_tell_how_long_a_job_takes_to_start():
    config = one_table()
    put(config, "training.default.epochs", 200)
    put(config, "training.default.repeats", 5)
    train, evaluate = 200 * (3 * 360 + 40) * IMAGE, 5 * 316 * IMAGE
    assert train > 100 * evaluate
    for rate in ("1e-3", "1e-4"):
        for repeat in range(5):
            record(f"train_network/shtb-rescsrnet-{rate}-{repeat}", 3 + train / 0.02e12)
    of_trainings = costs(config)
    assert any("10.0 seconds to start, an assumption" in note for note in of_trainings.notes)
    record("evaluate_network/shtb-rescsrnet", 3 + evaluate / 0.02e12)
    found = costs(config)
    (note,) = (note for note in found.notes if "to start" in note)
    assert "records of 11 jobs" in note and "0.02 TFLOPS" in note
    assert "3.0 seconds to start, which fits these records best" in note
    row = found.targets[0]
    assert (
        row["hours"] == pytest.approx(row["hours_spent"]) == pytest.approx((33 + (10 * train + evaluate) / 2e10) / 3600)
    )
    given = costs(config | {"plan": {"tflops": 0.02}})
    assert given.targets[0]["hours"] == pytest.approx((11 * rates.START + (10 * train + evaluate) / 2e10) / 3600)


@pytest.mark.parametrize(("last", "start"), [(42, 2), (4200, 1.9992)])
def test_a_start_is_that_of_typical_jobs_and_together_they_take_as_long_as_they_took(last, start):
    # What is least off, in shares, from 2, 4, 2 and 4 seconds is (1/2 + 1/4) / (1/4 + 1/16) = 2.4. From 42 seconds of a job
    # with 100 times the operations it is 42 - 2.4 = 39.6 = 99 * 0.4: so a small job computes for 0.4 of its 2.4 seconds. With
    # one of 4200 seconds in six the 42 become 42 * 5.01 / 5.0001 = 42.083, the 0.4 becomes 0.40084.
    small, large = [(1e12, seconds) for seconds in (2, 4, 2, 4)], [(100e12, seconds) for seconds in (*5 * [42], last)]
    found = rates.of_records([*small, *large])
    assert found.start == pytest.approx(start, abs=1e-4)
    computing = 12 + 5 * 42 + last - 10 * found.start
    assert found.of(None) == pytest.approx(604e12 / computing)


@pytest.mark.parametrize(
    ("small", "large", "computing"),
    [
        ([(1e12, 3)], 8 * [(100e12, 42)], 1.5 + 8 * 32),  # nine
        ([(1e12, 3)], 9 * [(99e12, 42)], 1.5 + 9 * 32),  # alike
        ([(1e12, 42)], 9 * [(100e12, 42)], 10 * 32),  # whose seconds do not follow their operations
        ([(1e12, 43)], 9 * [(100e12, 42)], 33 + 9 * 32),
    ],
)
def test_records_that_do_not_tell_a_start_leave_the_assumed_one(small, large, computing):
    found = rates.of_records([*small, *large])
    assert (found.start, found.start_source[:13]) == (rates.START, "an assumption")
    assert found.of(None) == pytest.approx(sum(number for number, _ in [*small, *large]) / computing)


@pytest.mark.parametrize("text", ["", "seconds\n1\n", "s\nmany\n"])
def test_a_record_that_cannot_be_read_is_named(text):
    write("records/train_network/shtb-rescsrnet-1e-3-0.tsv", text)
    with pytest.raises(InputError, match=r"shtb-rescsrnet-1e-3-0\.tsv.*column `s`.*Delete"):
        costs(one_table())


def test_jobs_wait_for_what_they_need_and_for_a_device():
    rules = {"gpu": Rule([], gpu=True), "cpu": Rule([])}
    first = Job("cpu", (("n", "0"),))
    middle = [Job("gpu", (("n", str(i)),), (first,)) for i in range(3)]
    last = Job("cpu", (("n", "9"),), tuple(middle))
    jobs = [first, *middle, last]
    seconds = dict.fromkeys(jobs, 10.0)
    assert wall_time(jobs, seconds, rules, 1, 4) == 50
    assert wall_time(jobs, seconds, rules, 2, 4) == 40
    assert wall_time(jobs, seconds, rules, 3, 1) == 30


# --- Devices ---


def test_a_known_device_reaches_a_share_of_its_data_sheet_and_draws_what_it_says():
    found = rates.read({"device": "A100"})
    work = Work("train", "csrnet", "{}", "float16", (8, 8), 1)
    assert found.of(work) == rates.REACHED * rates.DEVICES["a100"].float16 * 1e12
    assert found.watts == 400
    assert "data sheet" in found.source


def test_an_unknown_device_is_refused_unless_its_rate_is_given():
    with pytest.raises(InputError, match=r"plan\.device: 'a1000'.*Known: .*a100.*mean 'a100'.*tflops"):
        costs(one_table(device="a1000"))
    found = rates.read({"device": "a1000", "tflops": 30, "watts": 50})
    assert (found.of(Work("train", "csrnet", "{}", "float32", (8, 8), 1)), found.watts) == (30e12, 50)


@pytest.mark.parametrize("settings", [{"tflops": 0}, {"tflops": -1}, {"watts": 0}, {"tflops": "fast"}])
def test_a_rate_that_is_none_is_refused(settings):
    with pytest.raises(InputError, match=rf"plan\.{next(iter(settings))}.*above 0"):
        check(one_table(**settings))


@pytest.mark.parametrize("settings", [{"device": "a100"}, {"tflops": 3}])
def test_measuring_and_saying_contradict_each_other(settings):
    with pytest.raises(InputError, match=rf"plan: calibrate.*{next(iter(settings))}.*take away"):
        costs(one_table(calibrate=True, **settings))


# --- Counted and measured ---


@pytest.fixture
def counting(monkeypatch):
    """The operations of the miniature's generator, counted."""
    monkeypatch.undo()
    generator = {"model": str(ROOT / "resources/models/stable-diffusion"), "steps": 10, "precision": "float32"}
    return Operations({"guided": generator | {"guidance": 3}, "free": generator | {"guidance": 1}}, {}, {})


def test_an_update_takes_three_times_what_table_three_counts(counting):
    work = Work("train", "csrnet", json.dumps({"width": 0.125}), "float32", (96, 64), passes=10, forward=4)
    assert counting.of(work) == (3 * 10 + 4) * 2e9 * cost.count("csrnet", {"width": 0.125}, 64, 96)["gmac"]


def test_guidance_takes_the_network_twice_in_each_step(counting):
    guided, free = (
        counting.of_image(Work("generate", name, "{}", "float32", (96, 64), 1)) for name in ("guided", "free")
    )
    assert guided - free == 10 * counting.of_step("free", (96, 64)) > 0
    assert not counting.assumed


def test_a_machine_is_measured_by_what_it_is_to_do(counting, monkeypatch):
    monkeypatch.setattr(rates, "SECONDS", 0)
    monkeypatch.setattr(rates, "_measure_start", lambda: 1.5)
    settings = json.dumps({"width": 0.125})
    works = [Work(kind, "csrnet", settings, "float32", (48, 32), 1, batch=2) for kind in ("train", "predict")]
    works.append(Work("train", "guidedepth", settings, "float32", (64, 64), 1, batch=2))
    works.append(Work("generate", "guided", "{}", "float32", (48, 32), 1))
    found = rates.calibrate(works, counting, "cpu", watts=30)
    assert all(0 < found.of(work) < 1e15 for work in works)
    other = Work("caption", "clipcap", "{}", "float32", (48, 32), 1)
    assert found.of(other) == min(map(found.of, works))
    assert (found.start, found.watts, found.shared) == (1.5, 30, True)
