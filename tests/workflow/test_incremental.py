"""What a change makes run again, after everything was made: exactly these jobs and no others.

The costs are two dry runs at a time, of 3 CPU seconds each, 45 s in all on two cores; and 15 s for what is run at the end.
"""

import ast
import copy
import os
import random
import re
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.workflow import ROOT, Workflow, jobs, shipped

RESULTS, MODELS = "results/tiny", "resources/models"

OUTPUTS = {
    "prepare_dataset": rf"{RESULTS}/datasets/(.+)/index\.csv",
    "caption_images": rf"{RESULTS}/captions/(.+)/(.+)\.csv",
    "write_prompts": rf"{RESULTS}/prompts/(.+)\.csv",
    "generate_images": rf"{RESULTS}/images/(.+)/(.+)/block-(.+)\.csv",
    "restore_faces": rf"{RESULTS}/images/(.+)/(.+)/block-(.+)\.csv",
    "annotate_images": rf"{RESULTS}/annotations/(.+)/(.+)/(.+)/block-(.+)\.h5",
    "score_images": rf"{RESULTS}/quality/(.+)/(.+)/(.+)/block-(.+)\.csv",
    "average_annotations": rf"{RESULTS}/annotations/(.+)/(.+)/(.+)/block-(.+)\.h5",
    "filter_prompts": rf"{RESULTS}/filters/(.+)\.csv",
    "mix_dataset": rf"{RESULTS}/fake/(.+)\.csv",
    "train_network": rf"{RESULTS}/runs/(.+)/lr-(.+)/repeat-(.+)/history\.csv",
    "select_learning_rate": rf"{RESULTS}/runs/(.+)/selection\.json",
    "evaluate_annotator": rf"{RESULTS}/annotators/(.+)/(.+)\.csv",
    "evaluate_network": rf"{RESULTS}/runs/(.+)/predictions\.csv",
    "write_table": rf"{RESULTS}/tables/table(.)\.md",
    "write_cost_table": rf"{RESULTS}/tables/table(.)\.md",
    "write_roundtrip": rf"{RESULTS}/tables/(.+)\.md",
    "show_table": r"tables/(.+)\.md",
    "draw_predictions": rf"{RESULTS}/figures/(.+)\.png",
    "draw_colours": rf"{RESULTS}/figures/(.+)\.png",
    "draw_changes": rf"{RESULTS}/figures/(.+)\.png",
    "draw_sizes": rf"{RESULTS}/figures/(.+)\.png",
    "show_figure": r"figures/(.+)\.png",
}
"""By rule the output in which the wildcards of a job are read."""


def planned(workflow: Workflow, *targets: str) -> set[str]:
    """Return the jobs that would run, each as its rule and wildcards."""
    result = workflow.run(*targets, "--summary")
    assert result.returncode == 0, result.stdout
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    pending = [(line[2], line[0]) for line in lines if line[-1] == "update pending"]
    found = [(rule, re.fullmatch(OUTPUTS.get(rule, f"(.*{rule}.*)"), output)) for rule, output in pending]
    return {" ".join([rule, *match.groups()]) for rule, match in found if match}


# --- Jobs ---

ROOMS = "rooms stable-diffusion"
BY_HAND = "locations stable-diffusion"
CAPTIONS = "shtb-captions stable-diffusion"
RESTORED = f"{CAPTIONS}-float16-gfpgan"


def trained(experiment: str, rate: str = "1e-3", repeats: tuple[int, ...] | None = None) -> set[str]:
    """Return the jobs that train an experiment, all its repeats or some, and look at what comes out."""
    all_repeats = (0,) if experiment.startswith("nyu") else (0, 1)
    runs = {f"train_network {experiment} {rate} {repeat}" for repeat in repeats or all_repeats}
    return runs | {f"select_learning_rate {experiment}", f"evaluate_network {experiment}"}


def mixed(experiment: str) -> set[str]:
    """Return the jobs that choose an experiment's generated images and train it."""
    return {f"mix_dataset {experiment}"} | trained(experiment)


def table(*numbers: int) -> set[str]:
    """Return the jobs that write tables, and draw their changes."""
    figures = {name for name, of in {"changes": {1, 2}, "ablations": {4, 5, 6, 7}}.items() if of & {*numbers}}
    return written(*numbers) | {f"{rule} {name}" for name in figures for rule in ("draw_changes", "show_figure")}


def written(*numbers: int) -> set[str]:
    return {f"{'write_cost_table' if n == 3 else 'write_table'} {n}" for n in numbers} | shown("table", *numbers)


def shown(kind: str, *numbers: int) -> set[str]:
    return {f"show_{kind} {kind}{n}" for n in numbers}


def figure(n: int) -> set[str]:
    return {f"{'draw_colours' if n == 2 else 'draw_predictions'} figure{n}"} | shown("figure", n)


ON_NYU = [f"nyu-guidedepth{end}" for end in ("", "-control", "-promptmix")]
DEPTH = set().union(*map(trained, ON_NYU))
DEPTH |= table(2) | figure(4)


# --- Changes of the config ---


def experiment(name: str, **changes) -> Callable[[Workflow], None]:
    """Return a change of what an experiment does."""
    return lambda workflow: workflow.config["experiments"][name].update(changes)


def training(dataset: str, **changes) -> Callable[[Workflow], None]:
    """Return a change of how the experiments on a dataset are trained."""
    return lambda workflow: workflow.config["training"].setdefault(dataset, {}).update(changes)


def restored_k(workflow: Workflow) -> None:
    experiment("shtb-restored", k=4)(workflow)
    workflow.config["tables"]["table6"]["rows"][1]["k"] = 4


def two_k(workflow: Workflow) -> None:
    for name, k in (("shtb-by-shta", 4), ("shtb-by-both", 5)):
        experiment(name, k=k)(workflow)


def other_k(workflow: Workflow) -> None:
    on_shtb = {"dataset": "shtb", "network": "rescsrnet"}
    workflow.config["experiments"] |= {"smaller": on_shtb | {"k": 1}, "larger": on_shtb | {"k": 5}}
    workflow.config["tables"]["table5"]["rows"] += ["smaller", "larger"]


def another_order(workflow: Workflow) -> None:
    for section in ("datasets", "pools", "annotators", "networks", "promptmix"):
        workflow.config[section] = dict(reversed(workflow.config[section].items()))
    workflow.config["experiments"]["shtb-q50"]["scored_by"].reverse()


def equal_experiments(workflow: Workflow) -> None:
    """A twin of an experiment in its table, another in a table that has a row more for it, and one in no table."""
    experiments, tables = workflow.config["experiments"], workflow.config["tables"]
    entry = experiments["shtb-by-shta"]
    experiments |= {"twin": entry, "another-twin": entry, "shown-nowhere": entry | {"training": {"epochs": 9}}}
    tables["table7"]["rows"].append("twin")
    tables["table6"]["rows"].append("another-twin")


def reviewed(pool: str, **review) -> Callable[[Workflow], None]:
    """Return that someone leaves out or edits something of a pool."""
    return lambda workflow: workflow.config.update(reviewed={pool: review})


def without_a_prompt(workflow: Workflow) -> None:
    reviewed("locations", drop=["large crowd in a stadium"])(workflow)
    experiment("shtb-q50", r_img=100)(workflow)  # half of what is left would be too few


def one_annotator_more(workflow: Workflow) -> None:
    workflow.config["annotators"]["dmcount-qnrf"] = shipped()["annotators"]["dmcount-qnrf"] | {"trained_on": "shtb"}
    workflow.config["experiments"]["shtb-q50"]["scored_by"].append("dmcount-qnrf")


# --- Changes of files ---


def replaced(old: str, new: str) -> Callable[[Workflow], None]:
    """Return that one of the models takes another's place, and is older than what was made with that."""

    def edit(workflow: Workflow) -> None:
        shutil.copyfile(workflow / f"{MODELS}/{new}", workflow / f"{MODELS}/{old}")
        os.utime(workflow / f"{MODELS}/{old}", (1, 1))

    return edit


def edited(*models: str) -> Callable[[Workflow], None]:
    """Return that files of models have a line break more."""
    return lambda workflow: [
        path.write_text(path.read_text() + "\n") for path in map((workflow / MODELS).joinpath, models)
    ]


def touched_dataset(workflow: Workflow) -> None:
    for file in (workflow / f"{RESULTS}/rendered/shtb/part_B_final").rglob("*.*"):
        os.utime(file)


# --- Changes of code ---


def in_other_words(workflow: Workflow) -> None:
    """Take all comments and the layout from the code, and give it other docstrings."""
    for file in (workflow.repository / "scripts").rglob("*.py"):
        tree = ast.parse(file.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
                node.body[0].value.value = "Said otherwise."
        file.write_text("\n\n# New\n" + ast.unparse(tree))


def code(file: str) -> Callable[[Workflow], None]:
    """Return that a script or module does something more."""

    def edit(workflow: Workflow) -> None:
        with (workflow.repository / "scripts" / file).open("a") as opened:
            opened.write("\nprint(1)\n")

    return edit


def a_number_of_the_paper(workflow: Workflow) -> None:
    file = workflow.repository / "config/paper-results.yaml"
    file.write_text(file.read_text().replace("rmse: 0.639", "rmse: 0.7"))


def other_resources(workflow: Workflow) -> None:
    for file in (workflow.repository / "rules").glob("*.smk"):
        file.write_text(re.sub(r"runtime=(\d+)", r"runtime=1\1", file.read_text()))


def without_records(workflow: Workflow) -> None:
    shutil.rmtree(workflow / ".snakemake")


FILTERED = {"filter_prompts shtb-prompt-filter"} | mixed("shtb-prompt-filter")
EDITED = "locations-edited stable-diffusion"

CHANGES = {
    "nothing; repository and models cloned anew": (lambda workflow: None, set()),
    "results copied without .snakemake": (without_records, set()),
    "order of keys and annotators": (another_order, set()),
    "equal experiments; one in no table": (equal_experiments, table(6, 7)),
    "k raised within a block": (  # 24 images are asked for, and 18 are there
        experiment("shtb-by-shta", k=4),
        {f"generate_images {CAPTIONS} 00018-00023", f"annotate_images {CAPTIONS} sasnet-shta 00018-00023"}
        | mixed("shtb-by-shta")
        | table(5),
    ),
    "k raised beyond a block": (
        experiment("shtb-by-shta", k=17),
        {
            f"{job} {block}"
            for job in (f"generate_images {CAPTIONS}", f"annotate_images {CAPTIONS} sasnet-shta")
            for block in ("00018-00099", "00100-00101")
        }
        | mixed("shtb-by-shta")
        | table(5),
    ),
    "k raised in two experiments, which share the block": (
        two_k,
        {f"generate_images {CAPTIONS} 00018-00029", f"average_annotations {CAPTIONS} both 00018-00029"}
        | {f"annotate_images {CAPTIONS} sasnet-{part} 00018-00029" for part in ("shta", "shtb")}
        | mixed("shtb-by-shta")
        | mixed("shtb-by-both")
        | table(5),
    ),
    "k raised, one of two targets": (
        two_k,
        {f"generate_images {CAPTIONS} 00018-00029", f"annotate_images {CAPTIONS} sasnet-shta 00018-00029"}
        | {"mix_dataset shtb-by-shta"},
        f"{RESULTS}/fake/shtb-by-shta.csv",
    ),
    "k raised of images with faces restored": (
        restored_k,
        {f"generate_images {CAPTIONS}-float16 00018-00023", f"restore_faces {RESTORED} 00018-00023"}
        | {f"annotate_images {RESTORED} sasnet-shtb 00018-00023"}
        | mixed("shtb-restored")
        | table(6),
    ),
    "k raised of images that are filtered": (
        experiment("shtb-q50", k=7),
        {f"generate_images {BY_HAND} 00012-00013"}
        | {f"annotate_images {BY_HAND} sasnet-{part} 00012-00013" for part in ("shta", "shtb")}
        | {f"score_images {BY_HAND} sasnet-shta+sasnet-shtb 00012-00013"}
        | mixed("shtb-q50")
        | table(7),
    ),
    "k lowered": (experiment("shtb-by-shta", k=2), mixed("shtb-by-shta") | table(5)),
    "an experiment with a smaller k, and one with a larger": (
        other_k,
        {f"generate_images {CAPTIONS} 00018-00029", f"annotate_images {CAPTIONS} sasnet-shtb 00018-00029"}
        | mixed("smaller")
        | mixed("larger")
        | table(5),
    ),
    "r_mix": (experiment("shtb-by-shta", r_mix=5), trained("shtb-by-shta") | table(5)),
    "r_img": (experiment("shtb-q50", r_img=40), mixed("shtb-q50") | table(7)),
    "an image left out by hand": (  # of prompt 3 mod 2
        reviewed("locations", exclude=[3]),
        mixed("shtb-prompt-filter-prompt-1") | FILTERED | mixed("shtb-q50") | table(7),
    ),
    "a prompt left out by hand": (
        without_a_prompt,
        FILTERED | mixed("shtb-q50") | table(7),
    ),
    "a prompt edited by hand": (
        reviewed("locations", edit=[{"prompt": 0, "to": "large crowd in a train station"}]),
        {"write_prompts locations-edited", f"generate_images {EDITED} 00000-00005"}
        | {f"annotate_images {EDITED} sasnet-{part} 00000-00005" for part in ("shta", "shtb")}
        | {f"score_images {EDITED} sasnet-shta+sasnet-shtb 00000-00005"}
        | (mixed("shtb-prompt-filter-prompt-2") - {"evaluate_network shtb-prompt-filter-prompt-2"})
        | FILTERED
        | mixed("shtb-q50")
        | table(7),
    ),
    "one annotator more in scored_by": (
        one_annotator_more,
        {f"annotate_images {BY_HAND} dmcount-qnrf 00000-00011"}
        | {f"score_images {BY_HAND} dmcount-qnrf+sasnet-shta+sasnet-shtb 00000-00011"}
        | mixed("shtb-q50")
        | table(7),
    ),
    "a learning rate more": (
        training("nyu", learning_rates=["1e-3", "1e-4"]),
        set().union(*(trained(name, rate="1e-4") for name in ON_NYU)) | table(2) | figure(4),
    ),
    "a repeat more": (
        training("nyu", repeats=2),
        set().union(*(trained(name, repeats=(1,)) for name in ON_NYU)) | table(2) | figure(4),
    ),
    "epochs on one dataset": (training("nyu", epochs=3), DEPTH),
    "the text of a prompt": (
        lambda workflow: workflow.config["pools"]["rooms"]["prompts"].append(
            workflow.config["pools"]["rooms"]["prompts"].pop().replace("bathroom", "kitchen")
        ),
        {
            "write_prompts rooms",
            f"generate_images {ROOMS} 00000-00009",
            f"annotate_images {ROOMS} adabins-nyu 00000-00009",
        }
        | mixed("nyu-guidedepth-promptmix")
        | table(2)
        | figure(4),
    ),
    "the title of a dataset": (
        lambda workflow: workflow.config["datasets"]["shtb"].update(title="Part B"),
        table(1, 3, 4, 5, 6, 7) | figure(3) | {"draw_sizes by-size", "show_figure by-size"},
    ),
    "a number of the paper's": (a_number_of_the_paper, table(2)),
    "files of a dataset touched": (touched_dataset, set()),
    "an annotator's checkpoint replaced": (
        replaced("sasnet-shta.safetensors", "sasnet-shtb.safetensors"),
        {f"annotate_images {CAPTIONS} sasnet-shta 00000-00017", f"annotate_images {BY_HAND} sasnet-shta 00000-00011"}
        | {f"evaluate_annotator {name} shtb" for name in ("sasnet-shta", "both")}
        | {
            f"score_images {BY_HAND} sasnet-shta+sasnet-shtb 00000-00011",
            f"average_annotations {CAPTIONS} both 00000-00017",
        }
        | mixed("shtb-by-shta")
        | mixed("shtb-by-both")
        | mixed("shtb-q50")
        | table(5, 7),
    ),
    "a face detector replaced": (
        replaced("retinaface.safetensors", "parsenet.safetensors"),
        {f"restore_faces {RESTORED} 00000-00017", f"annotate_images {RESTORED} sasnet-shtb 00000-00017"}
        | mixed("shtb-restored")
        | table(6),
    ),
    "files in a generator's and a captioner's folder edited": (
        edited("stable-diffusion/scheduler/scheduler_config.json", "clip/preprocessor_config.json"),
        {
            "caption_images shtb clipcap",
            f"generate_images {BY_HAND} 00000-00011",
            f"annotate_images {BY_HAND} sasnet-shta 00000-00011",
        },
        f"{RESULTS}/captions/shtb/clipcap.csv",
        f"{RESULTS}/annotations/locations/stable-diffusion/sasnet-shta/block-00000-00011.h5",
    ),
    "a checkpoint deleted": (lambda workflow: (workflow / f"{MODELS}/sasnet-shta.safetensors").unlink(), set()),
    "comments, docstrings, layout of all code": (in_other_words, set()),
    "memory and time that rules ask for": (other_resources, set()),
    "code that starts jobs": (code("promptmix/running/job.py"), set()),
    "code of a script": (code("draw_colours.py"), figure(2)),
    "code of one network": (code("promptmix/networks/guidedepth.py"), DEPTH),
    "code of the score": (
        code("promptmix/synthesis/quality.py"),
        {f"score_images {BY_HAND} sasnet-shta+sasnet-shtb 00000-00011"} | mixed("shtb-q50") | table(7),
    ),
    "code of the tables": (
        code("promptmix/report/tables.py"),
        table(1, 2, 3, 4, 5, 6, 7),
    ),
}
"""By what is changed: how, the jobs that follow, and targets if not all."""


def fresh_copy(finished: Workflow, folder: Path) -> Workflow:
    """Return a copy of results, with their times, in a fresh clone, in which all files are new."""
    shutil.copytree(finished.folder, folder, symlinks=True)
    (folder / MODELS).unlink()
    shutil.copytree(ROOT / MODELS, folder / MODELS, copy_function=shutil.copyfile)
    clone = folder / "clone"
    for name in ("rules", "scripts", "config", "envs", "profiles"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, clone / name, copy_function=shutil.copyfile, ignore=ignored)
    shutil.copyfile(ROOT / "Snakefile", clone / "Snakefile")
    return Workflow(folder, copy.deepcopy(finished.config), clone)


@pytest.fixture(scope="module")
def plans(request, finished, tmp_path_factory) -> dict:
    """What would run after each change that is tested; two dry runs at a time."""

    def plan(change: str) -> set[str]:
        workflow = fresh_copy(finished, tmp_path_factory.mktemp("copy") / "copy")
        edit, _, *targets = CHANGES[change]
        edit(workflow)
        found = planned(workflow, *targets)
        shutil.rmtree(workflow.folder)
        return found

    items = [item for item in request.session.items if item.function is test_a_change]
    with ThreadPoolExecutor(2) as pool:
        yield {item.callspec.params["change"]: pool.submit(plan, item.callspec.params["change"]) for item in items}
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("change", CHANGES)
def test_a_change(plans, change):
    assert plans[change].result() == CHANGES[change][1]


def test_a_dry_run_announces_these_jobs(changed):
    one_annotator_more(changed)
    announced = jobs(changed.run("--dry-run", "--quiet", "rules").stdout)
    for_the_report = sum(announced.pop(rule) for rule in ("draw_curves", "show_generated"))
    expected = [job.partition(" ")[0] for job in CHANGES["one annotator more in scored_by"][1]]
    assert announced == {rule: expected.count(rule) for rule in expected} | {
        "all": 1,
        "total": len(expected) + for_the_report + 1,
    }


def test_results_that_were_copied_without_their_times_are_recorded_anew(changed):
    """As results/README.md says: for copies without .snakemake, or made by `cp -r`."""
    without_records(changed)
    files = sorted(path for path in (changed / RESULTS).rglob("*"))
    random.Random(0).shuffle(files)
    for second, file in enumerate(files):
        os.utime(file, (second, second))
    assert planned(changed, "tables/table2.md")
    result = changed.run("tables/table2.md", "--touch", "--forceall")
    assert result.returncode == 0, result.stdout
    assert planned(changed, "tables/table2.md") == set()
    changed.config["promptmix"]["nyu"]["r_mix"] = 3
    expected = trained("nyu-guidedepth-promptmix") | trained("nyu-guidedepth-control") | written(2)
    assert planned(changed, "tables/table2.md") == expected
