"""Models of transformers as annotators: depth in metres, boxes that become density, and those that are refused."""

import json
import logging

import numpy as np
import pytest
import torch
from support.estimators import (
    save_depth_anything,
    save_detr,
    save_dpt,
    save_rt_detr,
    save_yolos,
    save_zoedepth,
)
from transformers import GPT2Config, ViTConfig, ViTForImageClassification
from transformers.models.auto import modeling_auto

from promptmix.errors import InputError
from promptmix.networks.transformers_models import (
    DETECTORS,
    ESTIMATORS,
    REFUSED,
    TRANSFORMERS,
    find_class,
)
from promptmix.preflight.jobs import Work
from promptmix.preflight.models import check_annotator
from promptmix.preflight.operations import Operations
from promptmix.synthesis.annotation import annotate, load_annotator
from promptmix.synthesis.averaging import average
from promptmix.synthesis.ensemble import Average
from promptmix.synthesis.maps import write_maps

COUNTED = {"label": "person", "score": 0.5, "sigma": 4, "kernel": 15}


def images(number=3, height=37, width=50):
    rng = np.random.default_rng(0)
    return [(f"seed-{i}", rng.integers(0, 255, (height, width, 3), dtype=np.uint8)) for i in range(number)]


def estimator(folder, **settings):
    return load_annotator(TRANSFORMERS, "depth", settings, folder, "cpu")


def detector(folder, **settings):
    return load_annotator(TRANSFORMERS, "counting", COUNTED | settings, folder, "cpu")


def maps_of(annotator, pictures, **options):
    stride = 8 if annotator.task == "counting" else 1
    return {found.stem: found.map for found in annotate(annotator, pictures, "cpu", stride, **options)}


def edit(folder, file, **changes):
    path = folder / file
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


# --- Depth ---


@pytest.mark.parametrize(
    ("save", "settings", "farthest"),
    [(save_depth_anything, {}, 20), (save_zoedepth, {}, 10), (save_dpt, {"unit": "metres"}, 1000)],
)
def test_depth_is_in_metres_and_has_the_image_s_size(tmp_path, save, settings, farthest):
    found = maps_of(estimator(save(tmp_path / "model"), **settings), images())
    for depth in found.values():
        assert depth.shape == (37, 50)
        assert 0 <= depth.min() <= depth.max() <= farthest


def test_depth_is_what_the_library_s_own_pipeline_gives(tmp_path):
    from PIL import Image
    from transformers import pipeline

    folder = save_depth_anything(tmp_path / "model")
    ((_, pixels),) = images(1, 64, 64)
    expected = pipeline("depth-estimation", str(folder))(Image.fromarray(pixels))["predicted_depth"]
    found = maps_of(estimator(folder), [("a", pixels)])["a"]
    expected = expected.squeeze().numpy().clip(found.min(), found.max())  # what a bicubic function adds at edges
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    assert np.ptp(found) > 0.1


def test_the_metres_are_those_of_the_config(tmp_path):
    near, far = (save_depth_anything(tmp_path / str(most), max_depth=most) for most in (10, 80))
    pictures = images(1)
    (a,), (b,) = (maps_of(estimator(folder), pictures).values() for folder in (near, far))
    np.testing.assert_allclose(8 * a, b, rtol=1e-4)


@pytest.mark.parametrize("save", [save_depth_anything, save_zoedepth])
def test_the_batch_does_not_change_depth(tmp_path, save):
    network, pictures = estimator(save(tmp_path / "model")), images()
    together, alone = maps_of(network, pictures), maps_of(network, pictures, batch_pixels=1)
    for stem, depth in together.items():
        np.testing.assert_allclose(depth, alone[stem], rtol=1e-4, atol=1e-5)


def test_relative_depth_is_refused(tmp_path):
    folder = save_depth_anything(tmp_path / "model", "relative")
    for settings in ({}, {"unit": "metres"}):  # nobody can vouch for what the model says it is not
        with pytest.raises(
            InputError, match="DepthAnythingForDepthEstimation of relative depth.*Depth Anything V2 Metric"
        ):
            estimator(folder, **settings)


def test_a_model_that_says_no_unit_is_refused_unless_the_user_vouches_for_it(tmp_path):
    folder = save_dpt(tmp_path / "model")
    with pytest.raises(InputError, match="does not say whether its numbers are metres.*write `unit: metres`"):
        check_annotator(str(folder), "depth", {})
    check_annotator(str(folder), "depth", {"unit": "metres"})


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"model_type": "depth_anything", "depth_estimation_type": "metric"}, "without `max_depth`"),
        ({"model_type": "depth_pro"}, "does not estimate the field of view"),
        ({"model_type": "glpn", "max_depth": 10}, "does not say whether its numbers are metres"),
        ({"model_type": "prompt_depth_anything"}, "takes the depths of a sensor"),
        ({"model_type": "dpt", "architectures": ["DPTForSemanticSegmentation"]}, "expected a DPTForDepthEstimation"),
        ({"model_type": "mine", "auto_map": {"AutoModel": "code.Mine"}}, "code that came with the model.*`function`"),
        ({"_class_name": "StableDiffusionPipeline"}, "names no model_type"),
    ],
)
def test_a_config_that_is_no_estimator_of_metres_says_why(config, message):
    with pytest.raises(InputError, match=message):
        find_class(config, "depth")


def test_every_family_of_the_library_is_known():
    depth = modeling_auto.MODEL_FOR_DEPTH_ESTIMATION_MAPPING_NAMES
    objects = modeling_auto.MODEL_FOR_OBJECT_DETECTION_MAPPING_NAMES
    for known, names in ((ESTIMATORS, depth), (DETECTORS, objects)):
        assert known.items() <= names.items()
        assert names.keys() - known.keys() <= REFUSED.keys()


# --- Boxes ---

FOUND = [("person", 0.5, 0.25), ("bicycle", 0.2, 0.2), ("person", 0.9, 0.9), ("person", 0.999, 0.5)]


@pytest.fixture(scope="module")
def yolos(tmp_path_factory):
    return save_yolos(tmp_path_factory.mktemp("models") / "yolos", FOUND)


def test_the_middle_of_each_box_of_the_label_is_a_person(yolos):
    (points,) = detector(yolos).points(torch.rand(1, 3, 64, 80) * 255)
    np.testing.assert_allclose(sorted(points.tolist()), [[40, 16], [72, 57.6], [79.92, 32]], atol=1e-2)


@pytest.mark.parametrize("size", [(64, 80), (37, 50), (8, 8)])
def test_the_sum_of_a_map_is_the_number_of_boxes(yolos, size):
    for label, number in (("person", 3), ("bicycle", 1)):
        for density in maps_of(detector(yolos, label=label), images(2, *size)).values():
            assert density.shape == tuple(-(-side // 8) for side in size)
            assert density.sum(dtype=np.float64) == pytest.approx(number, abs=1e-5)


def test_people_are_where_their_boxes_are(yolos):
    (density,) = maps_of(detector(yolos, sigma=0.5, kernel=1), images(1, 64, 80)).values()
    np.testing.assert_allclose(density[1:3, 4:6], 0.25, atol=0.01)  # x 40 and y 16 are where cells meet
    assert density[7, 8:].sum() == pytest.approx(1, abs=1e-3)
    assert density[3:5, 9].sum() == pytest.approx(1, abs=1e-3)


def test_what_scores_less_is_not_counted(yolos):
    (density,) = maps_of(detector(yolos, score=0.99999), images(1)).values()
    assert density.sum() == 0


@pytest.mark.parametrize("save", [save_detr, save_rt_detr])
def test_other_detectors_count_too_and_the_batch_does_not_matter(tmp_path, save):
    network, pictures = detector(save(tmp_path / "model"), score=0.01), images(3, 64, 64)
    together, alone = maps_of(network, pictures), maps_of(network, pictures, batch_pixels=1)
    for (stem, density), (_, pixels) in zip(together.items(), pictures, strict=True):
        (points,) = network.points(torch.from_numpy(pixels).permute(2, 0, 1)[None].float())
        assert density.sum(dtype=np.float64) == pytest.approx(len(points), abs=1e-4)
        np.testing.assert_allclose(density, alone[stem], atol=1e-4)


def test_as_many_as_can_be_found_are_perhaps_not_all(tmp_path, caplog):
    network = detector(save_yolos(tmp_path / "model", [("person", 0.5, 0.5)] * 3, spare=0))
    with caplog.at_level(logging.WARNING):
        maps_of(network, images(3), batch_pixels=1)
    assert caplog.text.count("has found 3 in an image, which is the most that it can find") == 1


def test_an_unknown_label_says_which_there_are(yolos):
    with pytest.raises(InputError, match="knows no 'persn'. Its labels: bicycle, person. Did you mean 'person'?"):
        detector(yolos, label="persn")


def test_scores_that_are_no_numbers_are_an_error_and_not_nobody(yolos):
    network = detector(yolos)
    network.network.class_labels_classifier.layers[2].bias.data.fill_(torch.nan)
    with pytest.raises(InputError, match="scores or boxes that are not finite"):
        maps_of(network, images(1))


def test_images_that_are_filled_up_are_refused(tmp_path):
    folder = save_detr(tmp_path / "model")
    edit(folder, "preprocessor_config.json", pad_size={"height": 96, "width": 96})
    with pytest.raises(InputError, match="fills images up to a size"):
        maps_of(detector(folder), images(1, 64, 64))


# --- What is no annotator, or is incomplete ---


@pytest.mark.parametrize("task", ["depth", "counting"])
def test_models_for_something_else_are_refused(tmp_path, task):
    settings = COUNTED if task == "counting" else {}
    vit = ViTForImageClassification(
        ViTConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    )
    vit.save_pretrained(tmp_path / "vit")
    with pytest.raises(InputError, match="a ViTForImageClassification, which is no (depth estimator|object detector)"):
        check_annotator(str(tmp_path / "vit"), task, settings)
    GPT2Config().save_pretrained(tmp_path / "gpt2")
    with pytest.raises(InputError, match="a gpt2, which is no"):
        check_annotator(str(tmp_path / "gpt2"), task, settings)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "preprocessor_config.json").unlink(), "preprocessor_config.json is missing"),
        (lambda folder: (folder / "model.safetensors").unlink(), "weights are missing"),
        (lambda folder: edit(folder, "config.json", fusion_hidden_size=16), "other sizes than config.json says"),
        (lambda folder: edit(folder, "config.json", neck_hidden_sizes=[8, 8, 8], reassemble_factors=[2, 1, 1]), "lack"),
        (
            lambda folder: edit(folder, "preprocessor_config.json", image_processor_type="ViTImageProcessor"),
            "ViTImageProcessor, which is not for a depth estimator",
        ),
        (lambda folder: (folder / "config.json").write_text("[]"), "holds no keys"),
    ],
)
def test_an_incomplete_model_is_named_without_computing(tmp_path, damage, message):
    folder = save_depth_anything(tmp_path / "model")
    check_annotator(str(folder), "depth", {})
    damage(folder)
    with pytest.raises(InputError, match=message):
        check_annotator(str(folder), "depth", {})
    with pytest.raises(InputError, match=message):
        estimator(folder)


def test_a_model_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="there is no such folder"):
        check_annotator(str(tmp_path / "nowhere"), "depth", {})


# --- As other annotators ---


def test_a_mean_may_be_of_networks_and_models(tmp_path, yolos):
    others = [save_yolos(tmp_path / "other", [("person", 0.5, 0.5)])]
    annotators = [detector(folder) for folder in (yolos, *others)]
    pictures, files = images(2), []
    for i, annotator in enumerate(annotators):
        files.append(tmp_path / f"{i}.h5")
        write_maps(files[-1], annotate(annotator, pictures, "cpu"), 8, str(i))
    means = {found.stem: found.map for found in average(files)[0]}
    for stem, density in maps_of(Average(annotators), pictures).items():
        assert density.sum() == pytest.approx(2, abs=1e-4)
        np.testing.assert_allclose(density, means[stem], atol=1e-5)


@pytest.mark.parametrize(
    ("save", "task", "settings"),
    [(save_depth_anything, "depth", {}), (save_zoedepth, "depth", {}), (save_detr, "counting", COUNTED)],
)
def test_operations_are_counted(tmp_path, save, task, settings):
    folder = save(tmp_path / "model")
    work = Work("annotate", str(folder), json.dumps({**settings, "task": task}), "float32", (64, 48), 10)
    operations = Operations({}, {}, {})
    assert operations.of(work) == 10 * operations.of_image(work) > 1e4


def test_what_cannot_be_counted_is_not_known(tmp_path, caplog):
    work = Work("annotate", str(tmp_path / "nowhere"), json.dumps({"task": "depth"}), "float32", (64, 48), 10)
    assert Operations({}, {}, {}).of(work) is None
    assert "cannot be counted" in caplog.text
