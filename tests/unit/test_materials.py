"""What a D_fake is made with, whose terms hold for it, and when it is not published."""

from pathlib import Path

import pytest
from support.configs import put, resolved, small
from support.workflow import shipped

from promptmix.config import sources
from promptmix.config.materials import (
    OWN,
    SHIPPED,
    card_of,
    check_publishable,
    experiment_to_publish,
    facts_of,
    materials_of,
    terms_of_training,
)
from promptmix.config.validation import check, read
from promptmix.errors import InputError

ROOT = Path(__file__).parents[2]
FILTERED = "filtered"


def plan_of(**changes):
    config = small()
    for path, value in changes.items():
        put(config, path.replace("__", "."), value)
    return resolved(config)[0]


def keys(plan, name):
    return {material.key for material in materials_of(plan, name)}


def test_the_models_that_ship_are_those_in_their_folder():
    assert sorted(SHIPPED) == sorted(path.name for path in OWN.iterdir() if path.name != "README.md")


def test_what_makes_images_prompts_and_annotations_counts():
    plan = plan_of()
    captioned = {"models/diffusion", "models/clip", "models/gpt2", "models/clipcap.pt", "models/sasnet.pth"}
    assert keys(plan, "shtb-rescsrnet-promptmix") == captioned
    assert keys(plan, FILTERED) == {"models/diffusion", "models/sasnet.pth", "models/dmcount.pth"}
    assert "models/sasnet.pth" in keys(plan, "panda-csrnet-promptmix")  # what the fine-tuned one starts from
    restored = next(name for name in plan.experiments if "gfpgan" in name and "promptmix" in name)
    assert {"models/detector.pth", "models/parser.pth", "models/gfpgan.pth"} <= keys(plan, restored)


def test_what_is_added_to_a_model_counts():
    plan = plan_of(
        generators__diffusion__lora=[{"model": "loras/style.safetensors", "scale": 0.5}],
        generators__diffusion__refiner={"model": "models/refiner", "from": 0.8},
    )
    assert {"models/diffusion", "models/refiner", "loras/style.safetensors"} <= keys(plan, "shtb-rescsrnet-promptmix")
    (how,) = [text for text in card_of(plan, "shtb-rescsrnet-promptmix")["how"] if text.startswith("Images:")]
    assert (
        "`models/diffusion` with `loras/style.safetensors` (LoRA, times 0.5), `models/refiner` from 80% of the steps"
        in how
    )


def test_all_members_of_an_average_count():
    plan = plan_of(promptmix__shtb__annotator="both")
    assert {"models/sasnet.pth", "models/dmcount.pth"} <= keys(plan, "shtb-rescsrnet-promptmix")


def test_the_miniature_is_published_under_this_repository_s_licence():
    plan = resolved(shipped())[0]
    for name, experiment in plan.experiments.items():
        if experiment.fake:
            found = materials_of(plan, name)
            check_publishable(found, {})
            assert all(material.own and material.terms["name"] == "MIT" for material in found)


def test_the_paper_s_data_are_published_with_the_terms_of_the_ledger():
    config = read([ROOT / "config/paper.yaml"])
    plan = resolved(config)[0]
    for name in ("shtb-rescsrnet-promptmix", "nyu-guidedepth-promptmix"):
        found = materials_of(plan, name)
        check_publishable(found, {})
        assert "CreativeML Open RAIL-M" in {material.terms["name"] for material in found}
        assert not any(material.own for material in found)


def test_every_model_and_annotator_of_the_ledger_says_whether_what_it_makes_may_be_passed_on():
    ledger = sources.load()
    entries = [*ledger["models"].values(), *(e for e in ledger["checkpoints"].values() if not e.get("backbone"))]
    for entry in entries:
        assert "outputs" in entry["licence"], entry["title"]
        if entry["licence"]["name"] == "none stated":
            assert entry["licence"]["outputs"] != "yes"


@pytest.mark.parametrize("path", ["models/diffusion", "resources/models/mine", "results/other/models/x"])
def test_a_model_that_nobody_knows_is_refused_until_its_terms_are_given(path):
    plan = plan_of(generators__diffusion__model=path)
    found = [each for each in materials_of(plan, FILTERED) if each.key == path]
    with pytest.raises(
        InputError, match=rf"{path} \(generates the images\).*not known.*publish: {{accept: {{\"{path}\""
    ):
        check_publishable(found, {})
    check_publishable(found, {path: "Apache-2.0"})
    assert facts_of(found, {path: "Apache-2.0"})[0]["name"] == "Apache-2.0"


def test_a_function_of_the_user_s_needs_terms_too(tmp_path):
    (tmp_path / "mine.py").write_text("def count(images):\n    return images\n")
    mine = f"{tmp_path}/mine.py:count"
    plan = plan_of(annotators__mine={"function": mine, "task": "counting"}, promptmix__shtb__annotator="mine")
    found = [each for each in materials_of(plan, "shtb-rescsrnet-promptmix") if each.key == mine]
    with pytest.raises(InputError, match=r"mine\.py:count \(annotates the images\).*not known"):
        check_publishable(found, {})
    check_publishable(found, {mine: "mine, CC0"})


@pytest.mark.parametrize(
    ("verdict", "accepted", "message"),
    [
        ("unclear", {}, "in doubt about its licence.*publish: {accept"),
        ("no", {"CompVis/stable-diffusion-v1-4": "I asked"}, "forbids.*config/sources.yaml"),
    ],
)
def test_what_the_ledger_forbids_or_doubts_is_refused_with_its_licence(monkeypatch, verdict, accepted, message):
    plan = plan_of(generators__diffusion__model="CompVis/stable-diffusion-v1-4")
    entry = sources.load()["models"]["stable-diffusion-v1-4"]
    monkeypatch.setitem(entry["licence"], "outputs", verdict)
    found = materials_of(plan, FILTERED)[:1]
    with pytest.raises(InputError, match=message) as caught:
        check_publishable(found, accepted)
    assert "CreativeML Open RAIL-M" in str(caught.value)


def test_what_the_ledger_doubts_can_be_accepted_and_the_card_says_so(monkeypatch):
    plan = plan_of(annotators__sasnet__weights="resources/checkpoints/csrnet-shta.safetensors")
    key = "resources/checkpoints/csrnet-shta.safetensors"
    found = [each for each in materials_of(plan, FILTERED) if each.key == key]
    with pytest.raises(InputError, match="none stated"):
        check_publishable(found, {})
    check_publishable(found, {key: "asked the authors"})
    facts = facts_of(found, {key: "asked the authors"})[0]
    assert facts["name"] == "none stated" and facts["accepted"] == "asked the authors"


def test_an_experiment_without_generated_images_is_refused_and_those_with_are_named():
    plan = plan_of()
    with pytest.raises(InputError, match="'longer-x' is not an experiment.*filtered"):
        experiment_to_publish(plan, "longer-x")
    with pytest.raises(InputError, match="'shtb-rescsrnet' has no generated images.*Did you mean"):
        experiment_to_publish(plan, "shtb-rescsrnet")
    assert experiment_to_publish(plan, FILTERED).name == FILTERED
    with pytest.raises(InputError) as caught:
        experiment_to_publish(plan, "none")
    assert "-prompt-0" not in str(caught.value)


def test_an_experiment_that_is_the_same_as_another_leads_to_that_one():
    config = small()
    config["experiments"]["filtered-twin"] = dict(config["experiments"]["filtered"])
    with pytest.raises(InputError, match="filtered-twin has the settings of filtered"):
        experiment_to_publish(resolved(config)[0], "filtered-twin")


def test_the_card_says_how_prompts_images_and_annotations_were_made():
    plan = plan_of(reviewed={"by-hand": {"exclude": [3]}})
    how = "\n".join(card_of(plan, FILTERED)["how"])
    for words in (
        "by hand",
        "models/diffusion",
        "10 steps",
        "guidance 3",
        "`sasnet`",
        "37.5 %",
        "Filter of prompts",
        "Left out",
    ):
        assert words in how
    assert "captions of training images of Shanghai Tech Part B by `clipcap`" in "\n".join(
        card_of(plan, "shtb-rescsrnet-promptmix")["how"]
    )
    assert "fine-tuned on the training images of PANDA-Crowd" in "\n".join(
        card_of(plan, "panda-csrnet-promptmix")["how"]
    )


def test_the_config_s_key_is_checked():
    config = small() | {"publish": {"accept": {"models/diffusion": ""}, "url": "example.org"}}
    with pytest.raises(InputError, match=r"(?s)publish\.accept.*publish\.url"):
        check(config)


def test_a_network_inherits_the_terms_of_all_that_it_was_trained_with():
    plan = resolved(read([ROOT / "config/paper.yaml"]))[0]
    terms = {found["title"]: found["licence"] for found in terms_of_training(plan, "panda-csrnet-promptmix")}
    assert "(research: yes, commercial: unclear" in terms["PANDA-Crowd"]  # of the images, and of its annotator's
    assert {"Shanghai Tech", "Stable Diffusion", "CLIP"} <= {word for word in WORDS if word in " ".join(terms)}
    assert not any("MIT: made by" in licence for licence in terms.values())
    (images, weights) = terms_of_training(plan, "shtb-csrnet")
    assert images["what"] == "real images" and weights["what"] == "its first weights"


def test_what_the_ledger_does_not_know_is_said_to_be_unknown_and_what_ships_is_free():
    own = plan_of(networks__rescsrnet__backbone="mine.pth")
    found = {one["title"]: one["licence"] for one in terms_of_training(own, "shtb-rescsrnet")}
    assert found == dict.fromkeys(("Shanghai Tech Part B", "mine.pth"), "not known to this repository: ask its owner")
    miniature = resolved(shipped())[0]
    assert all(
        one["licence"] == "MIT: made by this repository"
        for name in miniature.experiments
        for one in terms_of_training(miniature, name)
    )


WORDS = ("Shanghai Tech", "Stable Diffusion", "CLIP")
