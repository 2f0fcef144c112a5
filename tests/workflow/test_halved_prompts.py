"""A prompt filter by halving, through the front door. Under a minute."""

import pandas as pd
import pytest
from support.workflow import Workflow, jobs, tiny

from promptmix.records.filters import FILTER
from promptmix.records.halving import HALVING
from promptmix.records.histories import HISTORY

RESULTS = "results/tiny"
NAME = "shtb-rescsrnet-promptmix-locations-prompt-filter-halving"


@pytest.fixture(scope="module")
def halved(tmp_path_factory) -> Workflow:
    """A folder in which the table of an experiment was made whose four prompts were halved at two rungs."""
    config = tiny()
    config["pools"]["locations"]["locations"] = ["a stadium", "mecca", "a concert", "the streets"]
    config["training"]["shtb"] = {"epochs": 4, "learning_rates": ["1e-3", "5e-4"]}
    row = {"dataset": "shtb", "network": "rescsrnet", "pools": ["locations"], "prompt_filter": {"method": "halving"}}
    config |= {"experiments": {}, "figures": {}, "tables": {"halved": {"rows": [row], "columns": ["prompt_filter"]}}}
    config["tables"]["halved"]["measured"] = ["prompts kept"]
    workflow = Workflow(tmp_path_factory.mktemp("halved"), config)
    planned = workflow.run("-n")
    result = workflow.run("tables/halved.md", "plan")
    assert result.returncode == 0, result.stdout
    counts = jobs(planned.stdout)
    assert (counts["train_rung"], counts["halve_prompts"], counts["conclude_halving"]) == (8, 2, 1)
    assert counts["train_network"] == 4  # the baseline and the experiment, two rates each
    return workflow


def test_half_of_the_prompts_are_decided_at_a_rung_and_the_filter_says_what_the_last_one_found(halved):
    first, last = (HALVING.read(halved / f"{RESULTS}/halving/{NAME}/rung-{rung}.csv") for rung in (1, 2))
    assert (first["verdict"] == "").sum() == 2 and (last["verdict"] == "").sum() == 0
    going_on = first["verdict"] == ""
    assert last["epochs"].tolist() == [2 if one else 1 for one in going_on]
    assert last["verdict"][~going_on].tolist() == first["verdict"][~going_on].tolist()
    kept = FILTER.read(halved / f"{RESULTS}/filters/{NAME}.csv")["kept"]
    assert kept.tolist() == (last["verdict"] == "kept").astype(int).tolist()
    fake = pd.read_csv(halved / f"{RESULTS}/fake/{NAME}.csv")
    assert set(fake["prompt_number"]) == set(kept.index[kept == 1])


def test_only_prompts_that_are_left_are_trained_with_and_no_state_stays(halved):
    folder = halved / f"{RESULTS}/halving/{NAME}"
    first = HALVING.read(folder / "rung-1.csv")
    for number, verdict in enumerate(first["verdict"]):
        histories = [HISTORY.read(folder / f"{NAME}-prompt-{number}/rung-{rung}.csv") for rung in (1, 2)]
        assert [len(one) for one in histories] == [2, 0 if verdict else 2]  # two rates for an epoch, one for two
        if not verdict:
            assert histories[1]["learning_rate"].unique().tolist() == first["learning_rates"][number].split()
    assert not list(folder.rglob("state.pt")) and not list(folder.rglob("lr-*"))


def test_the_table_says_what_was_saved(halved):
    text = (halved / "tables/halved.md").read_text()
    assert "by halving" in text
    last = HALVING.read(halved / f"{RESULTS}/halving/{NAME}/rung-2.csv")
    made, in_full = last["updates"].sum(), last["updates_in_full"].sum()
    assert made * 16 == in_full * 5  # 4 prompts x 2 rates x 1 epoch, 2 x 1 x 1 more; of 4 x 2 x 4
    assert f"{NAME}: {made} updates in place of {in_full}, 69 % less." in text


def test_nothing_is_left_to_do_and_more_epochs_train_anew(halved):
    assert "Nothing to be done" in halved.run("tables/halved.md", "-n").stdout
    halved.config["training"]["shtb"]["epochs"] = 6
    counts = jobs(halved.run("tables/halved.md", "-n").stdout)
    halved.config["training"]["shtb"]["epochs"] = 4
    assert (counts["train_rung"], counts["train_network"]) == (12, 4) and "generate_images" not in counts


def test_the_plan_counts_as_many_jobs_as_were_made(halved):
    rows = pd.read_csv(halved / f"{RESULTS}/plan.csv")
    counts = rows[rows["kind"] == "rule"].set_index("name")["jobs"]
    assert (counts["train_rung"], counts["halve_prompts"], counts["conclude_halving"]) == (8, 2, 1)
    assert counts["train_network"] == 4 and counts["mix_dataset"] == 5
