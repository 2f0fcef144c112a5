"""Rendered images in the place of generated ones, through to a table, and an annotator's bias, through the front door."""

import numpy as np
import pandas as pd
import pytest
from support.workflow import Workflow, tiny

RESULTS = "results/tiny"
SHTB = {"dataset": "shtb", "network": "rescsrnet"}
NAME = "shtb-rescsrnet-promptmix"
LABELS = ("truth", "annotator")


def with_table() -> dict:
    """Return the tiny config with a table of what limits the gain on one dataset, of one repeat."""
    config = tiny()
    rows = [*(SHTB | {"rendered": labels} for labels in LABELS), SHTB]
    config["tables"] = {"limits": {"columns": ["method", "rendered"], "rows": rows}}
    config["training"]["shtb"]["repeats"] = 1
    config["figures"], config["experiments"] = {}, {}
    return config


@pytest.fixture(scope="module")
def limits(tmp_path_factory) -> Workflow:
    workflow = Workflow(tmp_path_factory.mktemp("limits"), with_table())
    result = workflow.run("tables/limits.md", f"{RESULTS}/bias/{NAME}.md")
    assert result.returncode == 0, result.stdout
    return workflow


def test_a_table_shows_rendered_images_beside_generated_ones(limits):
    rows = pd.read_csv(limits / "tables/limits.csv")
    experiments = ["shtb-rescsrnet", f"{NAME}-rendered-truth", f"{NAME}-rendered-annotator", NAME]
    assert rows["experiment"].tolist() == experiments
    assert rows["D_fake"].tolist() == ["—", "rendered, true labels", "rendered, annotated", "generated, annotated"]
    assert set(rows["baseline"].dropna()) == {"shtb-rescsrnet"} and rows["mae"].notna().all()


def test_the_same_images_have_the_labels_of_each(limits):
    files = [f"{RESULTS}/fake/{NAME}{end}.csv" for end in ("-rendered-truth", "-rendered-annotator", "")]
    true, annotated, generated = (pd.read_csv(limits / file) for file in files)
    assert len(true) == len(annotated) == len(generated) == 18
    assert true["sha256"].tolist() == annotated["sha256"].tolist() and true["sha256"].nunique() == 18
    np.testing.assert_allclose(true["count"], true["count"].round(), atol=1e-3)
    assert not np.allclose(true["count"], annotated["count"], atol=0.05)


def test_the_annotator_is_measured(limits):
    rows = pd.read_csv(limits / f"{RESULTS}/bias/{NAME}.csv")
    assert rows["kind"].value_counts().tolist() == [60, 18, 6, 4, 4]
    assert rows["true"].notna().sum() == 60 + 6 + 4 + 4
    assert "sasnet-shtb finds in images of SHTB" in (limits / f"{RESULTS}/bias/{NAME}.md").read_text()


def test_nothing_is_made_again_and_another_seed_renders_other_images(limits):
    assert "Nothing to be done" in limits.run("tables/limits.md", "--dry-run").stdout
    found = limits.run(
        f"{RESULTS}/fake/{NAME}-rendered-truth.csv", "--dry-run", "--quiet", "rules", "--config", "seed=43"
    )
    assert "render_fake" in found.stdout


def test_rendered_images_are_neither_published_nor_shown_as_generated_ones(limits):
    for target in (f"{RESULTS}/published/{NAME}-rendered-truth", f"{RESULTS}/gallery/{NAME}-rendered-truth.html"):
        result = limits.run(target, "--dry-run")
        assert result.returncode == 1 and "no generated images" in result.stdout, result.stdout
