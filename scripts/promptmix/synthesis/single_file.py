"""Write a text-to-image model that is one file, as those on which communities build are shared, in diffusers' format.

Such a file holds all weights under the names of its authors, and neither configs nor a tokeniser nor a sampler: these are those of
another pipeline of its kind, its base. The renaming of the weights is diffusers'. What a file lacks is an error, as everywhere.
"""

import re
from pathlib import Path

import torch
from diffusers import DiffusionPipeline
from safetensors import SafetensorError, safe_open

from promptmix.errors import InputError, list_some
from promptmix.files import replacing_folder
from promptmix.synthesis.families import SDXL, STABLE_DIFFUSION
from promptmix.synthesis.pipelines import EXPECTED, check_pipeline, read_index
from promptmix.synthesis.pretrained import explain, locate, silence

PARTS = {
    "a U-Net": r"model\.diffusion_model\.",
    "an autoencoder": r"first_stage_model\.",
    "a text encoder": r"cond_stage_model\.|conditioner\.embedders\.",
}
"""What a file holds, and how the names of its tensors begin."""

ONE_TO_ONE = {
    "unet": r"model\.diffusion_model\.",
    "vae": r"first_stage_model\.(encoder|decoder|quant_conv|post_quant_conv)\.",
}
"""How the names begin of the tensors of networks that have as many in diffusers' format."""

LAYERS = {"CLIP": r"transformer\.text_model\.encoder\.layers", "OpenCLIP": r"model\.transformer\.resblocks"}
"""What the layers of a text encoder are called, by whose it is."""

TYPES = {"F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32}
"""Types of numbers by what a file of safetensors calls them."""


def check_single_file(file: str) -> None:
    """Find out whether a file holds a whole text-to-image model, by the names of its tensors.

    Raises:
        InputError: it does not, or cannot be read.
    """
    _type_of(file)


def convert(file: str, base: str, out: str | Path) -> None:
    """Write a model that is one file as a folder in diffusers' format.

    Args:
        file: of safetensors.
        base: a pipeline of the same kind, whose configs, tokeniser and sampler it gets: a folder in diffusers' format, or a name in
            the Hub's cache.

    Raises:
        InputError: the file holds no whole model, or one of another kind than the base.
    """
    dtype, folder = _type_of(file), locate(base, EXPECTED)
    _, family = read_index(base, folder)
    if family not in (STABLE_DIFFUSION, SDXL):
        raise InputError(
            f"base: {base} is {family.title}, of which single files are not read here, but of {STABLE_DIFFUSION.title} and "
            f"{SDXL.title}. Take the model in diffusers' format"
        )
    without = {"safety_checker": None} if family is STABLE_DIFFUSION else {}
    with explain(f"{file}, as a pipeline like {base},"), silence():
        try:
            pipeline = family.kind.from_single_file(
                file, config=str(folder), local_files_only=True, torch_dtype=dtype, **without
            )
        except NotImplementedError:  # a weight without values is to be moved
            raise InputError(_incomplete(file, base)) from None
    for name in family.networks:  # of text encoders none is moved
        if lacking := [key for key, tensor in getattr(pipeline, name).state_dict().items() if tensor.is_meta]:
            raise InputError(f"{_incomplete(file, base)}: {name} has no {list_some(sorted(lacking))}")
    _check_unused(file, base, pipeline)
    with replacing_folder(out) as part:
        with silence():
            pipeline.save_pretrained(part)
        check_pipeline(str(part))


def _check_unused(file: str, base: str, pipeline: DiffusionPipeline) -> None:
    """Raise an InputError if a file holds more than its base's networks take, of which diffusers would leave out the rest.

    A U-Net and an autoencoder have as many tensors under both names. Of text encoders the layers are counted: OpenCLIP's is read
    without its last one by Stable Diffusion 2.
    """
    with safe_open(file, "pt") as opened:
        names = list(opened.keys())
    for part, pattern in ONE_TO_ONE.items():
        found, taken = sum(bool(re.match(pattern, name)) for name in names), len(getattr(pipeline, part).state_dict())
        if found > taken:
            raise InputError(
                f"{file} holds {found} tensors of the {part}, and that of {base} has {taken}: it is of another kind than its base"
            )
    encoders = [part for name, part in pipeline.components.items() if name.startswith("text_encoder") and part]
    for number, encoder in enumerate(encoders):
        where = rf"cond_stage_model\.|conditioner\.embedders\.{number}\."
        layers = {
            kind: {int(match[2]) for name in names if (match := re.match(rf"({where}){pattern}\.(\d+)\.", name))}
            for kind, pattern in LAYERS.items()
        }
        taken = encoder.config.num_hidden_layers
        for kind, numbers in layers.items():
            if len(numbers) > taken + (kind == "OpenCLIP"):
                raise InputError(
                    f"{file} holds a text encoder of {len(numbers)} layers, and that of {base} has {taken}: it is of another kind "
                    "than its base"
                )


def _incomplete(file: str, base: str) -> str:
    return f"{file} lacks weights that {base} has, and so is of another kind than its base, or was saved in part"


def _type_of(file: str) -> torch.dtype:
    """Return the type of the numbers in a file's U-Net, after a look at what else it holds."""
    if not Path(file).is_file():
        raise InputError(
            f"{file}: there is no such file; expected a text-to-image model that is one file of safetensors"
        )
    try:
        with safe_open(file, "pt") as opened:
            names = list(opened.keys())
            lacking = [what for what, pattern in PARTS.items() if not any(re.match(pattern, name) for name in names)]
            if lacking:
                raise InputError(
                    f"{file} holds {len(names)} tensors, such as {list_some(sorted(names))}, and not {' nor '.join(lacking)}: expected "
                    "a whole model. Of a LoRA name the model in `model` and the file in `lora`; of a network alone take the model in "
                    "diffusers' format"
                )
            first = next(name for name in names if re.match(PARTS["a U-Net"], name))
            kind = opened.get_slice(first).get_dtype()
    except (SafetensorError, OSError) as error:
        raise InputError(f"{file} is damaged, or not of safetensors ({error})") from None
    if kind not in TYPES:
        raise InputError(f"{file} holds numbers of the type {kind}; expected one of {', '.join(TYPES)}")
    return TYPES[kind]
