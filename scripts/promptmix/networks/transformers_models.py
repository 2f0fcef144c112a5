"""Which models of transformers can annotate images, as their config.json says.

Nothing is imported and nothing is loaded: Snakemake asks this at every start. `promptmix.synthesis.estimators` and
`promptmix.synthesis.detectors` load the models, after the same check.
"""

from collections.abc import Mapping
from typing import Any

from promptmix.errors import InputError, did_you_mean

TRANSFORMERS = "transformers"
"""What stands in the place of a network's name where a model of transformers annotates."""

MODULES = {"depth": "promptmix.synthesis.estimators", "counting": "promptmix.synthesis.detectors"}
"""By task, the module whose `load` returns such an annotator, on the device "meta" to find out whether it is one."""

ESTIMATORS = {
    "depth_anything": "DepthAnythingForDepthEstimation",
    "depth_pro": "DepthProForDepthEstimation",
    "dpt": "DPTForDepthEstimation",
    "glpn": "GLPNForDepthEstimation",
    "tipsv2_dpt": "Tipsv2DptForDepthEstimation",
    "zoedepth": "ZoeDepthForDepthEstimation",
}
"""By `model_type`, the class of the models that estimate how far things are in an image."""

DETECTORS = {
    "conditional_detr": "ConditionalDetrForObjectDetection",
    "d_fine": "DFineForObjectDetection",
    "dab-detr": "DabDetrForObjectDetection",
    "deformable_detr": "DeformableDetrForObjectDetection",
    "deimv2": "Deimv2ForObjectDetection",
    "detr": "DetrForObjectDetection",
    "lw_detr": "LwDetrForObjectDetection",
    "rf_detr": "RfDetrForObjectDetection",
    "rt_detr": "RTDetrForObjectDetection",
    "rt_detr_v2": "RTDetrV2ForObjectDetection",
    "table-transformer": "TableTransformerForObjectDetection",
    "yolos": "YolosForObjectDetection",
}
"""By `model_type`, the class of the models that find things of a fixed list of labels in an image."""

FAMILIES = {"depth": ESTIMATORS, "counting": DETECTORS}

KINDS = {"depth": "depth estimator", "counting": "object detector"}
"""What annotates for a task."""

_OF_DOCUMENTS = "it finds text or parts of documents"
_WITH_A_TEXT = "it looks for what a text says, beside the image"

REFUSED = {
    "chmv2": "it estimates how high trees are in images from above",
    "prompt_depth_anything": "it takes the depths of a sensor beside the image",
    **dict.fromkeys(("pp_doclayout_v2", "pp_doclayout_v3", "pp_doclayout_v4"), _OF_DOCUMENTS),
    **dict.fromkeys(("pp_ocrv5_mobile_det", "pp_ocrv5_server_det"), _OF_DOCUMENTS),
    **dict.fromkeys(("pp_ocrv6_medium_det", "pp_ocrv6_small_det"), _OF_DOCUMENTS),
    **dict.fromkeys(("grounding-dino", "mm-grounding-dino", "omdet-turbo", "owlv2", "owlvit"), _WITH_A_TEXT),
}
"""By `model_type`, why a model that estimates depth or finds things is of no use here."""

METRES = "metres"
"""The unit of depth that a user may vouch for."""

ANY = "Take one of the same family whose numbers are metres"


def find_class(config: Mapping[str, Any], task: str, label: str = "", unit: str = "") -> str:
    """Return the class of transformers that annotates with a model.

    Args:
        config: what the model's config.json holds.
        task: "counting" or "depth".
        label: what is to be counted.
        unit: "metres" if the user vouches for the unit of a model whose config.json does not say one.

    Raises:
        InputError: the model is of another kind, does not know the label, or its depth is not in metres.
    """
    family, kind = config.get("model_type"), KINDS[task]
    found, known = _name(config), ", ".join(sorted(FAMILIES[task]))
    if not isinstance(family, str):
        raise InputError(f"config.json names no model_type, so it is no model of transformers. Expected one of {known}")
    if family in REFUSED:
        raise InputError(f"config.json: a {found}, which is of no use here: {REFUSED[family]}. Expected one of {known}")
    if family not in FAMILIES[task]:
        if "auto_map" in config:
            raise InputError(
                f"config.json: a {found}, which runs code that came with the model (`auto_map`). Such code is not run "
                f"here; if you trust it, call it from a `function` of your own"
            )
        raise InputError(f"config.json: a {found}, which is no {kind}. Expected one of {known}")
    of_class, saved = FAMILIES[task][family], config.get("architectures")
    if saved and of_class not in saved:
        raise InputError(f"config.json: a {found}, which is no {kind}; expected a {of_class}")
    if task == "depth":
        _check_unit(config, family, found, unit)
    else:
        labels_of(config, label)
    return of_class


def labels_of(config: Mapping[str, Any], label: str) -> list[int]:
    """Return the numbers of the classes that have a label.

    Raises:
        InputError: none has it; the message lists the labels that there are.
    """
    named = config.get("id2label")
    if not named:
        raise InputError("config.json: no labels (`id2label`), so nobody knows what the model finds")
    if found := [int(number) for number, text in named.items() if text == label]:
        return found
    labels = sorted(set(map(str, named.values())))
    raise InputError(f"the model knows no '{label}'. Its labels: {', '.join(labels)}.{did_you_mean(label, labels)}")


def _check_unit(config: Mapping[str, Any], family: str, found: str, unit: str) -> None:
    """Raise an InputError unless a model's depth is in metres."""
    if family == "depth_anything":
        if config.get("depth_estimation_type", "relative") != "metric":
            raise InputError(
                f"config.json: a {found} of relative depth (`depth_estimation_type`): it tells what is nearer and not how "
                f"far it is, so there are no metres to learn. {ANY} (Depth Anything V2 Metric)"
            )
        if "max_depth" not in config:
            raise InputError(
                f"config.json: a {found} without `max_depth`, the metres that it multiplies its output with"
            )
    elif family == "depth_pro":
        if not config.get("use_fov_model", False):
            raise InputError(
                f"config.json: a {found} that does not estimate the field of view (`use_fov_model`), without which its "
                f"depth has no scale. {ANY}"
            )
    elif family != "zoedepth" and unit != METRES:
        raise InputError(
            f"config.json: a {found}, which does not say whether its numbers are metres; many are relative or inverse "
            f"depth (as MiDaS's), which has no scale. If the model's card says metres, write `unit: {METRES}` beside `model`"
        )


def _name(config: Mapping[str, Any]) -> str:
    """Return what a model is called: its class, or its family."""
    saved = config.get("architectures")
    return str(saved[0]) if saved else str(config.get("model_type"))
