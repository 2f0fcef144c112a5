"""All tables and figures from nothing, at a scale that takes minutes."""

import hashlib
import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from support.workflow import ROOT, jobs, planned_trainings

from promptmix.datasets.index import Index
from promptmix.report.tables import signed
from promptmix.synthesis.manifest import read_manifest

RESULTS = "results/tiny"
TARGETS = [f"tables/table{n}.md" for n in range(1, 8)] + ["tables/roundtrip.md"]
TARGETS += [
    f"figures/{name}.png" for name in ("ablations", "by-size", "changes", "examples", "figure2", "figure3", "figure4")
]

# The first columns of each row; what is measured is looked at apart.
RULE = "*Not in the paper:*"
LABELS = {
    "table1": [
        ["Dataset", "Method"],
        ["SHTB", "ResCSRNet (baseline)"],
        ["SHTB", "ResCSRNet+PromptMix"],
        [RULE, ""],
        ["SHTB", "ResCSRNet (control)"],
    ],
    "table2": [
        ["Method"],
        ["GuideDepth (baseline)"],
        ["GuideDepth+PromptMix"],
        [RULE],
        ["GuideDepth (control)"],
    ],
    "table3": [["Method"], ["ResCSRNet (baseline)"], ["ResCSRNet+PromptMix"], ["CSRNet"], ["SASNet"]],
    "table4": [
        ["Method", "k", "r_mix"],
        ["ResCSRNet (baseline)", "0", "0"],
        ["ResCSRNet+PromptMix", "3", "4"],
    ],
    "table5": [
        ["Method", "Annotator"],
        ["ResCSRNet (baseline)", "—"],
        ["ResCSRNet+PromptMix", "sasnet-shtb"],
        ["ResCSRNet+PromptMix", "sasnet-shta"],
        ["ResCSRNet+PromptMix", "both"],
    ],
    "table6": [
        ["Method", "Floating-point precision", "Face restoration"],
        ["ResCSRNet (baseline)", "—", "—"],
        ["ResCSRNet+PromptMix", "Full-Precision (float32)", "—"],
        ["ResCSRNet+PromptMix", "Half-Precision (float16)", "yes"],
    ],
    "table7": [
        ["Method", "Prompt format", "Prompt filtering", "r_img"],
        ["ResCSRNet (baseline)", "—", "—", "—"],
        ["ResCSRNet+PromptMix", "“large crowd in mecca”", "—", "100 %"],
        ["ResCSRNet+PromptMix", "“large crowd in [location]”", "yes", "100 %"],
        ["ResCSRNet+PromptMix", "“large crowd in [location]”", "—", "50 %"],
    ],
}
MEASURED = {
    "generated images": len,
    "prompts kept": lambda fake: len(fake[["pool", "prompt_number"]].drop_duplicates()),
}
MEASURED["faces restored"] = lambda fake: fake["faces"].sum()


# What the shipped config plans: to change with it.
SHIPPED = {
    "all": {"generate_images": 17, "train_network": 230, "draw_curves": 9, "show_generated": 9, "total": 474},
    "tables/table1.md": {
        "render_dataset": 4,
        "prepare_dataset": 4,
        "caption_images": 4,
        "write_prompts": 4,
        "generate_images": 4,
        "fine_tune_annotator": 2,
        "select_annotator": 1,
        "annotate_images": 4,
        "mix_dataset": 7,
        "train_network": 75,
        "select_learning_rate": 15,
        "evaluate_network": 15,
        "evaluate_annotator": 4,
        "write_table": 1,
        "draw_curves": 4,
        "show_generated": 4,
        "show_table": 1,
        "total": 153,
    },
}


def cells(path: Path, with_rule: bool = False) -> pd.DataFrame:
    """Return a table in Markdown, without the bold, and the line above what the paper does not have only if asked for."""
    lines = [line for line in path.read_text().splitlines() if line.startswith("|")]
    lines = [line for line in lines if RULE not in line or with_rule]
    header, _, *rows = [[cell.strip().replace("**", "") for cell in line.strip("|").split("|")] for line in lines]
    return pd.DataFrame(rows, columns=header)


def errors(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return all metrics of each repeat, from the predictions alone."""
    if "error" in predictions:
        off = predictions["predicted"] - predictions["count"]
        squared = off.pow(2).groupby(predictions["repeat"]).mean()
        return pd.DataFrame({"mae": off.abs().groupby(predictions["repeat"]).mean(), "rmse": squared.pow(0.5)})
    found = {}
    for crop in ("full", "eigen", "guidedepth"):
        for name, column in (("rmse", "squared"), ("delta1", "d1"), ("delta2", "d2"), ("delta3", "d3")):
            power = 0.5 if name == "rmse" else 1
            sums, pixels = predictions[f"{column}_{crop}"], predictions[f"pixels_{crop}"]
            of_images = (sums / pixels).pow(power).groupby(predictions["repeat"]).mean()
            of_pixels = sums.groupby(predictions["repeat"]).sum() / pixels.groupby(predictions["repeat"]).sum()
            found |= {f"{name}_{crop}_images": of_images, f"{name}_{crop}_pixels": of_pixels.pow(power)}
    return pd.DataFrame(found)


def fake_of(workflow, experiment: str) -> pd.DataFrame:
    return pd.read_csv(workflow / f"{RESULTS}/fake/{experiment}.csv", dtype={"stem": str})


def history_of(workflow, experiment: str) -> pd.DataFrame:
    return pd.read_csv(workflow / f"{RESULTS}/runs/{experiment}/lr-1e-3/repeat-0/history.csv")


def val_error_of(workflow, experiment: str) -> float:
    return json.loads((workflow / f"{RESULTS}/runs/{experiment}/selection.json").read_text())["val_error"]


# --- The tables ---


@pytest.mark.parametrize("table", LABELS)
def test_a_table_has_its_columns_and_rows(finished, table):
    found = cells(finished / f"tables/{table}.md", with_rule=True)
    columns = len(LABELS[table][0])
    assert [list(found.columns[:columns]), *found.iloc[:, :columns].to_numpy().tolist()] == LABELS[table]
    assert "Scale: tiny." in (finished / f"tables/{table}.md").read_text()
    assert (finished / f"tables/{table}.tex").read_text().count(r"\\") == 1 + len(found)
    assert (finished / f"tables/{table}.tex").read_text().count("Not in the paper:") == found.iloc[:, 0].eq(RULE).sum()


@pytest.mark.parametrize("table", [name for name in LABELS if name != "table3"])
def test_cells_follow_from_the_csv_and_that_from_the_predictions(finished, table):
    runs, printed = pd.read_csv(finished / f"tables/{table}.csv"), cells(finished / f"tables/{table}.md")
    column, title, digits = ("rmse_full_images", "RMSE", 3) if table == "table2" else ("mae", "MAE", 2)
    groups = list(runs.groupby("experiment", sort=False))
    assert len(groups) == len(printed)
    baseline = groups[0][1]
    for (name, ours), row in zip(groups, printed.to_dict("records")):
        found = errors(pd.read_csv(finished / f"{RESULTS}/runs/{name}/predictions.csv"))
        np.testing.assert_allclose(ours[found.columns], found)
        values = ours[column]
        several = f" ± {values.std():.{digits}f}" if len(values) > 1 else ""
        assert row[title] == f"{values.mean():.{digits}f}{several}"
        if name != baseline["experiment"].iloc[0]:
            change = (values.to_numpy() - baseline[column].to_numpy()[: len(values)]).mean()
            cell = row[f"Change of {title} [95 % over repeats]"].replace("−", "-")
            assert float(cell.split(",")[0]) == pytest.approx(change, abs=0.51 * 10**-digits)
        if (finished / f"{RESULTS}/fake/{name}.csv").exists():
            fake = fake_of(finished, name)
            assert all(row[key] == str(count(fake)) for key, count in MEASURED.items() if key in row)


def test_repeats_are_those_of_the_config(finished):
    repeats = {
        table: pd.read_csv(finished / f"tables/{table}.csv").groupby("experiment")["repeat"].count().to_dict()
        for table in ("table2", "table5")
    }
    assert repeats["table5"] == dict.fromkeys(
        ("shtb-rescsrnet", "shtb-rescsrnet-promptmix", "shtb-by-shta", "shtb-by-both"), 2
    )
    assert set(repeats["table2"].values()) == {1}


def test_depth_is_scored_on_all_known_pixels_and_shown_under_the_convention_of_the_config(finished, changed):
    index = Index.open(finished / f"{RESULTS}/datasets/nyu/index.csv")
    known = [int((index.depth(i) > 0).sum()) for i in index.split("test")]
    predictions = pd.read_csv(finished / f"{RESULTS}/runs/nyu-guidedepth/predictions.csv")
    assert predictions["pixels_full"].tolist() == known
    assert (predictions["pixels_eigen"] < predictions["pixels_full"]).all()
    assert "full-images" in (finished / "tables/table2.md").read_text()

    changed.config["evaluation"] = {"crop": "eigen", "average": "pixels"}
    result = changed.run("tables/table2.md", "--quiet", "rules")
    assert jobs(result.stdout) == {"write_table": 1, "show_table": 1, "total": 2}
    printed = cells(changed / "tables/table2.md").iloc[0]
    found = errors(predictions)[["rmse_eigen_pixels", "delta1_eigen_pixels"]].iloc[0]
    assert printed[["RMSE", "δ1"]].tolist() == [f"{value:.3f}" for value in found]
    assert "eigen-pixels" in (changed / "tables/table2.md").read_text()


def test_table_3_has_the_paper_s_numbers_beside_our_errors(finished):
    printed = cells(finished / "tables/table3.md").set_index("Method")
    costs = printed[["GMac for 1024x768 input", "Params (M)"]].agg(" / ".join, axis=1)
    assert costs["ResCSRNet (baseline)"] == costs["ResCSRNet+PromptMix"] == "26.54 / 1.57"
    assert costs["CSRNet"] == "325.34 / 16.26" and costs["SASNet"] == "698.72 / 38.90"
    theirs = printed["Paper's GMac / Params (M) / MAE"]
    assert theirs["CSRNet"] == "325.34 / 16.26 / 10.60" and theirs["SASNet"] == "698.72 / 38.90 / 6.35"
    assert "Here: 12.26 times, 10.37 times" in (finished / "tables/table3.md").read_text()

    maes = printed["MAE on SHTB"]
    table1 = cells(finished / "tables/table1.md").set_index("Method")["MAE"]
    for method in ("ResCSRNet (baseline)", "ResCSRNet+PromptMix"):
        assert maes[method] == table1[method]
    assert maes["CSRNet"] == "—"
    sasnet = errors(pd.read_csv(finished / f"{RESULTS}/annotators/sasnet-shtb/shtb.csv"))["mae"]
    assert maes["SASNet"] == f"{sasnet.item():.2f}"


def test_the_paper_s_numbers_and_changes_are_beside_ours(finished):
    table = cells(finished / "tables/table1.md")
    assert table["Paper's MAE"].tolist() == ["11.63", "8.57", "—"]
    assert table["Paper's change"].tolist() == ["—", "−26.3 %", "—"]
    assert table["Same way"][1] in ("yes", "no", "unresolved")
    text = (finished / "tables/table1.md").read_text()
    assert (
        "by up to 26 % (26.3 % in its table). Here: by up to" in text and "ResCSRNet on PANDA-Crowd is left out" in text
    )
    table = cells(finished / "tables/table2.md")
    assert [name for name in table.columns if name in ("δ1", "δ2", "δ3", "RMSE")] == ["δ1", "δ2", "δ3", "RMSE"]
    assert table["Paper's δ1 / δ2 / δ3 / RMSE"].tolist()[:2] == [
        "0.754 / 0.943 / 0.987 / 0.639",
        "0.780 / 0.954 / 0.989 / 0.601",
    ]


@pytest.mark.parametrize("baseline", ["shtb-rescsrnet", "nyu-guidedepth"])
def test_the_control_makes_as_many_updates_as_promptmix(finished, baseline):
    alone, control, promptmix = (history_of(finished, baseline + end) for end in ("", "-control", "-promptmix"))
    for column in ("images", "updates"):
        assert control[column].tolist() == promptmix[column].tolist()
        assert (alone[column] < control[column]).all()
    assert control["images"].tolist() == [6 + 4] * 2


# --- Filters ---


def test_prompts_are_kept_whose_images_do_not_raise_the_validation_error(finished):
    filtered = pd.read_csv(finished / f"{RESULTS}/filters/shtb-prompt-filter.csv")
    alone = [f"shtb-prompt-filter-prompt-{i}" for i in range(2)]
    assert filtered["val_error"].tolist() == [val_error_of(finished, name) for name in alone]
    assert filtered["baseline"].tolist() == [val_error_of(finished, "shtb-rescsrnet")] * 2
    assert filtered["kept"].tolist() == (filtered["val_error"] <= filtered["baseline"]).astype(int).tolist()
    for i, name in enumerate(alone):
        fake = fake_of(finished, name)
        assert fake["prompt_number"].tolist() == [i] * 6 and set(fake["pool"]) == {"locations"}
        assert set(fake["prompt"]) == {filtered["prompt"][i]}

    fake = fake_of(finished, "shtb-prompt-filter")
    kept = filtered.loc[filtered["kept"] == 1, "prompt"]
    assert len(fake) == 6 * len(kept)
    assert set(fake["prompt"]) == set(kept)
    assert history_of(finished, "shtb-prompt-filter")["images"].tolist() == [6 + min(4, len(fake))] * 2


@pytest.mark.parametrize("kept", [[0, 1], [0, 0]])
def test_images_of_dropped_prompts_are_not_trained_on(changed, kept):
    path = changed / f"{RESULTS}/filters/shtb-prompt-filter.csv"
    pd.read_csv(path).assign(kept=kept).to_csv(path, index=False)
    target = "tables/table7.md" if sum(kept) == 0 else f"{RESULTS}/fake/shtb-prompt-filter.csv"
    result = changed.run(target)
    assert result.returncode == 0, result.stdout
    assert fake_of(changed, "shtb-prompt-filter")["prompt_number"].tolist() == [1] * 6 * sum(kept)
    if sum(kept) == 0:  # the real images are left
        assert history_of(changed, "shtb-prompt-filter")["images"].tolist() == [6, 6]
        row = cells(changed / "tables/table7.md").iloc[2]
        assert row[["prompts kept", "generated images"]].tolist() == ["0", "0"]


def test_the_images_are_kept_about_which_the_annotators_agree_most(finished):
    counts = []
    for annotator in ("sasnet-shta", "sasnet-shtb"):
        path = finished / f"{RESULTS}/annotations/locations/stable-diffusion/{annotator}/block-00000-00011.h5"
        with h5py.File(path) as file:
            counts.append({stem: float(found[()].sum(dtype=np.float64)) for stem, found in file["map"].items()})
    a, b = (pd.Series(found) for found in counts)
    q = (a - b).abs() / np.maximum(a.abs(), b.abs())
    folder = finished / f"{RESULTS}/quality/locations/stable-diffusion/sasnet-shta+sasnet-shtb"
    scores = pd.read_csv(folder / "block-00000-00011.csv", dtype={"stem": str}).set_index("stem")["q"]
    np.testing.assert_allclose(scores, q[scores.index], rtol=1e-5)
    assert len(scores) == 2 * 6
    first = q.sort_index().iloc[: 2 * 6]
    assert set(fake_of(finished, "shtb-q50")["stem"]) == set(first.nsmallest(6).index)


# --- Generators and annotators ---


def test_restored_images_are_the_source_s_but_for_their_faces(finished):
    source, restored = (
        read_manifest(finished / f"{RESULTS}/images/shtb-captions/stable-diffusion-float16{end}/block-00000-00017.csv")
        for end in ("", "-gfpgan")
    )
    columns = ["pool", "prompt_number", "seed", "prompt", "width", "height", "quality", "source"]
    assert restored[columns].equals(source[columns])
    assert 0 < (restored["faces"] > 0).sum() < 18
    for row, original in zip(restored.itertuples(), source.itertuples()):
        content = Path(row.file).read_bytes()
        assert hashlib.sha256(content).hexdigest() == row.sha256
        assert (row.sha256 == original.sha256) == (row.faces == 0)
    assert fake_of(finished, "shtb-restored")["faces"].tolist() == restored["faces"].tolist()[: 3 * 6]


def test_half_precision_draws_the_same_noise_and_makes_nearly_the_same_images(finished):
    full, half = (
        read_manifest(finished / f"{RESULTS}/images/shtb-captions/stable-diffusion{end}/block-00000-00017.csv")
        for end in ("", "-float16")
    )
    assert full[["seed", "prompt"]].equals(half[["seed", "prompt"]])
    assert (full["sha256"] != half["sha256"]).any()
    images = [np.stack([np.asarray(Image.open(path), int) for path in frame["file"]]) for frame in (full, half)]
    assert np.abs(images[0] - images[1]).mean() < 2


def test_another_annotator_counts_the_same_images(finished):
    ours, theirs = (fake_of(finished, name) for name in ("shtb-rescsrnet-promptmix", "shtb-by-shta"))
    assert ours["sha256"].equals(theirs["sha256"])
    assert not np.isclose(ours["count"], theirs["count"]).any()


def test_an_average_is_of_the_same_images_and_between_its_annotators(finished):
    names = ("shtb-rescsrnet-promptmix", "shtb-by-shta", "shtb-by-both")
    one, other, both = (fake_of(finished, name) for name in names)
    assert both["sha256"].equals(one["sha256"])
    np.testing.assert_allclose(both["count"], (one["count"] + other["count"]) / 2, rtol=1e-5)


def test_rooms_are_annotated_with_depth(finished):
    fake = fake_of(finished, "nyu-guidedepth-promptmix")
    assert len(fake) == 2 * 5
    assert fake["count"].isna().all()
    with h5py.File(finished / f"{RESULTS}/fake" / fake["maps"][0]) as file:
        assert file.attrs["task"] == "depth"
        depth = file["map"][fake["stem"][0]][()]
    assert depth.shape == (72, 72)
    assert 0 < depth.min() < depth.max() <= 10


# --- Round trip and figures ---


def word_distance(a: list[str], b: list[str]) -> int:
    @cache
    def between(i: int, j: int) -> int:
        if not i or not j:
            return i + j
        return min(between(i - 1, j) + 1, between(i, j - 1) + 1, between(i - 1, j - 1) + (a[i - 1] != b[j - 1]))

    return between(len(a), len(b))


def test_the_round_trip_compares_captions_with_prompts_as_they_stand(finished):
    trips = pd.read_csv(finished / "tables/roundtrip.csv", dtype={"stem": str}, keep_default_na=False)
    folder = finished / f"{RESULTS}/captions/samples/stable-diffusion/clipcap"
    captions = pd.read_csv(folder / "block-00000-00002.csv", dtype=str, keep_default_na=False)
    asked = pd.read_csv(finished / f"{RESULTS}/prompts/samples.csv", keep_default_na=False)["prompt"]
    assert trips["stem"].tolist() == captions["stem"].tolist()[:3]
    assert trips["caption"].tolist() == captions["caption"].tolist()[:3]
    assert trips["prompt"].tolist() == asked.tolist()
    pairs = list(zip(trips["prompt"], trips["caption"]))
    distances = [word_distance(*(re.sub("[.,]", "", text).lower().split() for text in pair)) for pair in pairs]
    assert trips["distance"].tolist() == distances
    (row,) = cells(finished / "tables/roundtrip.md").to_dict("records")
    assert (row["Prompts"], row["Images"]) == ("samples", str(len(trips)))
    assert row["Distance"] == f"{np.mean(distances):.2f}" and row["Largest"] == str(max(distances))
    assert row["Paper's largest"] == "2" and row["Same"] == ("yes" if max(distances) <= 2 else "no")


def test_figure_2_shows_the_paper_s_prompts_from_the_same_seeds(finished):
    frame = pd.read_csv(finished / "figures/figure2.csv")
    pools = {"black-and-white": "black and white", "grayscale": "grayscale", "color": "color"}
    assert frame["prompt"].tolist() == [f"large crowd, {words} image" for words in pools.values() for _ in range(2)]
    assert frame["seed"].tolist() == [0, 1] * 3
    for pool, words in pools.items():
        folder = finished / f"{RESULTS}/images/{pool}/stable-diffusion/block-00000-00001"
        images = [np.asarray(Image.open(folder / f"seed-{seed:05d}.jpg"), int) for seed in range(2)]
        chroma = [(image.max(-1) - image.min(-1)).mean() for image in images]
        np.testing.assert_allclose(frame.loc[frame["prompt"] == f"large crowd, {words} image", "chroma"], chroma)
    assert frame["mid_greys"].between(0, 1).all()
    with Image.open(finished / "figures/figure2.png") as figure:
        assert figure.width > 400 and figure.height > 200


@pytest.mark.parametrize(("n", "baseline", "measure"), [(3, "shtb-rescsrnet", "count"), (4, "nyu-guidedepth", "rmse")])
def test_figures_3_and_4_show_the_first_repeat_s_predictions(finished, n, baseline, measure):
    frame = pd.read_csv(finished / f"figures/figure{n}.csv", dtype={"image": str})
    assert frame["percentile"].tolist() == [25, 50, 75]
    for method, name in (("baseline", baseline), ("promptmix", f"{baseline}-promptmix")):
        path = finished / f"{RESULTS}/runs/{name}/predictions.csv"
        first = pd.read_csv(path, dtype={"image": str}).query("repeat == 0").set_index("image")
        shown = first.loc[frame["image"]]
        if measure == "count":
            assert frame["count"].tolist() == shown["count"].tolist()
            expected = shown["predicted"]
        else:
            expected = np.sqrt(shown["squared_full"] / shown["pixels_full"])
        np.testing.assert_allclose(frame[f"{method}_{measure}"], expected, rtol=1e-4)
    with Image.open(finished / f"figures/figure{n}.png") as figure:
        assert figure.width > 1000 and figure.height > 600


def test_the_figures_of_changes_have_the_rows_of_their_tables(finished):
    drawn = {name: pd.read_csv(finished / f"figures/{name}.csv") for name in ("changes", "ablations")}
    assert drawn["changes"]["experiment"].tolist() == [
        f"{name}-{method}" for name in ("shtb-rescsrnet", "nyu-guidedepth") for method in ("promptmix", "control")
    ]
    assert drawn["changes"]["repeats"].tolist() == [2, 2, 1, 1]
    assert drawn["changes"]["paper_change"].notna().tolist() == [True, False, True, False]
    assert drawn["ablations"]["table"].value_counts().to_dict() == {"table4": 1, "table5": 3, "table6": 2, "table7": 3}
    for row in pd.concat(drawn).itertuples():
        cell = cells(finished / f"tables/{row.table}.md")[f"Change of {row.measure} [95 % over repeats]"]
        assert cell.str.contains(f", {signed(row.change, 1)} %", regex=False).any()


def test_the_figure_by_size_splits_the_errors_of_its_table(finished):
    drawn = pd.read_csv(finished / "figures/by-size.csv")
    table = pd.read_csv(finished / "tables/table1.csv").groupby("experiment")["mae"].mean()
    for experiment, bins in drawn.groupby("experiment"):
        assert (bins["mae"] * bins["images"]).sum() / 4 == pytest.approx(table[experiment])
    assert drawn["method"].unique().tolist() == ["baseline", "control", "promptmix"]
    assert set(drawn["repeats"]) == {2}


# --- What is run ---


def test_experiments_of_several_tables_are_run_once(finished):
    runs = [path.parent for path in (finished / f"{RESULTS}/runs").rglob("history.csv")]
    assert len(runs) == planned_trainings(finished / "config.yaml")
    logs = list((finished / f"{RESULTS}/logs/train_network").rglob("*.log"))
    assert len(logs) == len(runs)


@pytest.mark.parametrize("target", TARGETS)
def test_each_table_and_figure_is_a_target_of_its_own(workflow, target):
    planned = jobs(workflow.run(target, "--dry-run", "--quiet", "rules").stdout)
    name = Path(target).stem
    special = {"roundtrip": {"caption_generated"}, "table3": {"count_cost"}}
    special |= {"table6": {"restore_faces"}, "table7": {"score_images", "filter_prompts"}}
    special |= {"ablations": special["table6"] | special["table7"]}
    assert planned.keys() & set().union(*special.values()) == special.get(name, set())
    assert ("evaluate_annotator" in planned) == (name.startswith("table") or name in ("changes", "ablations"))
    assert planned.get("train_network", 0) == planned_trainings(workflow / "config.yaml", targets=(name,))


def test_a_config_may_leave_tables_and_figures_out(workflow):
    workflow.config["tables"] = {"table2": workflow.config["tables"]["table2"]}
    del workflow.config["figures"]
    planned = jobs(workflow.run("--dry-run", "--quiet", "rules").stdout)
    assert planned["write_table"] == planned["show_table"] == planned["all"] == 1
    others = {"write_cost_table", "write_roundtrip", "draw_colours", "draw_predictions", "show_examples", "show_figure"}
    others |= {"draw_changes", "draw_sizes"}
    assert not planned.keys() & others


@pytest.mark.parametrize("target", SHIPPED)
def test_the_shipped_config_plans_each_piece_of_work_once(target):
    command = [sys.executable, "-m", "snakemake", target, "--cores", "8", "--resources", "gpu=2"]
    command += ["--dry-run", "--quiet", "rules", "--forceall"]
    planned = jobs(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
    targets = () if target == "all" else (Path(target).stem,)
    assert planned["train_network"] == planned_trainings(ROOT / "config/config.yaml", targets=targets)
    assert SHIPPED[target].items() <= planned.items()


def test_a_scale_keeps_its_tables_when_another_scale_is_shown(changed):
    """tables/ shows what was asked for last; results/{scale}/tables/ keeps what each scale has made."""
    ours = (changed / "tables/table2.md").read_text()
    changed.config["scale"] = "other"
    result = changed.run("tables/table2.md")
    assert result.returncode == 0, result.stdout
    theirs = (changed / "tables/table2.md").read_text()
    assert "Scale: other." in theirs
    assert (changed / "results/tiny/tables/table2.md").read_text() == ours != theirs
    assert (changed / "results/other/tables/table2.md").read_text() == theirs
    changed.config["scale"] = "tiny"
    assert jobs(changed.run("tables/table2.md", "--quiet", "rules").stdout) == {"show_table": 1, "total": 1}
    assert (changed / "tables/table2.md").read_text() == ours
