"""A detector of transformers annotates through the front door, on images of the user's own."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from support.estimators import save_yolos
from support.workflow import Workflow, jobs, tiny

from promptmix.synthesis.maps import read_counts

FOUND = [("person", 0.25, 0.5), ("bicycle", 0.5, 0.5), ("person", 0.5, 0.1)]
DETECTED = "results/tiny/annotators/people/station.csv"
FAKE = "results/tiny/fake/detected.csv"


@pytest.fixture(scope="module")
def own(tmp_path_factory) -> Workflow:
    """A folder with a user's images, points, detector and config, in which the detector has annotated and was tested."""
    folder = tmp_path_factory.mktemp("own")
    rng = np.random.default_rng(0)
    (folder / "data/station/images").mkdir(parents=True)
    for i in range(8):
        Image.fromarray(rng.integers(0, 255, (32, 44, 3), dtype=np.uint8)).save(folder / f"data/station/images/{i}.jpg")
    points = [{"image": f"{i}.jpg", "x": 5, "y": 5 + n} for i in range(8) for n in range(i + 1)]
    pd.DataFrame(points).to_csv(folder / "data/station/points.csv", index=False)
    save_yolos(folder / "models/people", FOUND)

    config = tiny()
    people = {"model": "models/people", "task": "counting", "label": "person", "sigma": 1.5, "kernel": 7}
    station = {"title": "Station", "format": "points", "path": "data/station", "images": {"all": 8}}
    size = {"width": 44, "height": 32, "quality": 90}
    config |= {
        "datasets": {"station": station | {"split": {"val": 2, "test": 2}}},
        "pools": {"by-hand": {"prompts": ["a crowded station", "a dark hall"]} | size},
        "annotators": {"people": people | {"flip": True}, "other": config["annotators"]["sasnet-shta"]},
        "networks": {"rescsrnet": {"width": 0.125}},
        "promptmix": {"station": {"generator": "stable-diffusion", "pools": ["by-hand"], "k": 2, "r_mix": 1}},
        "experiments": {
            "detected": {
                "dataset": "station",
                "network": "rescsrnet",
                "annotator": "people",
                "scored_by": ["people", "other"],
                "r_img": 50,
            }
        },
        "tables": {"stations": {"rows": ["detected"]}},
        "figures": {},
    }
    config["training"] = {"default": config["training"]["default"]}
    for section in ("render", "restorers", "captioners", "prompts"):
        del config[section]
    workflow = Workflow(folder, config)
    result = workflow.run(DETECTED, FAKE)
    assert result.returncode == 0, result.stdout
    return workflow


def test_the_detector_is_tested_on_real_images(own):
    tested = pd.read_csv(own / DETECTED)
    assert len(tested) == 2
    np.testing.assert_allclose(tested["predicted"], 2, atol=1e-4)
    np.testing.assert_allclose(tested["error"], 2 - tested["count"], atol=1e-4)


def test_generated_images_have_as_many_people_as_the_detector_finds(own):
    (maps,) = (own / "results/tiny/annotations/by-hand/stable-diffusion/people").glob("*.h5")
    np.testing.assert_allclose(read_counts(maps)["count"], [2] * 4, atol=1e-4)
    fake = pd.read_csv(own / FAKE)
    assert len(fake) == 2  # of four, half are kept
    np.testing.assert_allclose(fake["count"], 2, atol=1e-4)


@pytest.mark.parametrize(
    ("key", "value", "again"),
    [
        ("score", 0.6, {"annotate_images": 1, "score_images": 1, "mix_dataset": 1, "evaluate_annotator": 1}),
        ("trained_on", "station", {}),
    ],
)
def test_a_setting_runs_again_what_depends_on_it(own, key, value, again):
    before = dict(own.config["annotators"]["people"])
    own.config["annotators"]["people"][key] = value
    try:
        found = own.run(DETECTED, FAKE, "--dry-run", "--quiet", "rules")
    finally:
        own.config["annotators"]["people"] = before
    assert found.returncode == 0, found.stdout
    if again:
        assert jobs(found.stdout) == again | {"total": sum(again.values())}
    else:
        assert "Job stats" not in found.stdout


def test_a_label_that_the_model_does_not_know_stops_the_start(own):
    own.config["annotators"]["people"]["label"] = "persons"
    try:
        found = own.run(FAKE, "--dry-run")
    finally:
        own.config["annotators"]["people"]["label"] = "person"
    assert found.returncode != 0
    assert "annotators.people.model: models/people: the model knows no 'persons'" in " ".join(found.stdout.split())
