"""Which text-to-image pipelines of diffusers can be used, and what each of them takes.

The facts are those of diffusers' classes and of the models' authors: Rombach et al., 2022 (Stable Diffusion 1 and 2); Luo et
al., 2023 (LCM); Podell et al., 2023 (SDXL); Esser et al., 2024 (SD3); Black Forest Labs, 2024 (Flux); Chen et al., 2023 and
2024 (PixArt); Xie et al., 2024 (Sana).
"""

import inspect
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from diffusers import (
    AutoencoderDC,
    AutoencoderKL,
    DiffusionPipeline,
    FluxPipeline,
    FluxTransformer2DModel,
    LatentConsistencyModelPipeline,
    ModelMixin,
    PixArtAlphaPipeline,
    PixArtSigmaPipeline,
    PixArtTransformer2DModel,
    SanaPipeline,
    SanaTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
    StableDiffusionXLImg2ImgPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import (
    CLIPTextModel,
    CLIPTextModelWithProjection,
    Gemma2PreTrainedModel,
    PreTrainedTokenizerBase,
    T5EncoderModel,
)

from promptmix.networks.text_to_image import SAME, TITLES

PROJECTED = ("addition_embed_type", "class_embed_type", "num_class_embeds")
"""What a U-Net can take beside a text."""


@dataclass(frozen=True)
class Family:
    """Pipelines that take the same.

    Args:
        kind: the class that makes images of prompts.
        networks: the parts that have weights, and their classes.
        optional: parts without which it works.
        least: the sides of images are multiples of this, in pixels, and of what the networks ask for.
        packed: whether squares of 2x2 latents are one position.
        flow: whether the network learned straight paths between noise and images (flow matching), which takes samplers of
            its own.
        seeded: whether its sampler gets the random generator of each image.
        lengths: how many tokens are read of a prompt, by tokeniser, where the pipeline limits them further than the tokeniser.
        lower: whether prompts are read in lower case.
        call: what its call gets beside the usual.
    """

    kind: type[DiffusionPipeline]
    networks: Mapping[str, type]
    optional: Sequence[str] = ()
    least: int = 8
    packed: bool = False
    flow: bool = False
    seeded: bool = True
    lengths: Mapping[str, int] = field(default_factory=dict)
    lower: bool = False
    call: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of its class."""
        return self.kind.__name__

    @property
    def title(self) -> str:
        """What it is called."""
        return TITLES[self.name]

    @property
    def denoiser(self) -> str:
        """The part that denoises."""
        return "unet" if "unet" in self.networks else "transformer"

    @property
    def encoders(self) -> list[str]:
        """The parts that read prompts."""
        return [name for name in self.networks if name.startswith("text_encoder")]

    @property
    def tokenizers(self) -> list[str]:
        """The tokenisers of `encoders`, in the same order."""
        return [name.replace("text_encoder", "tokenizer") for name in self.encoders]

    def multiple(self, factor: int, patch: int) -> int:
        """Return of what number, in pixels, the sides of images are multiples.

        Args:
            factor: how many times smaller the autoencoder's latents are.
            patch: side of the denoiser's patches, in latents.
        """
        return math.lcm(self.least, factor * (2 if self.packed else patch))

    def channels(self, denoiser: ModelMixin) -> int:
        """Return the channels of the latents that a denoiser takes."""
        return denoiser.config.in_channels // (4 if self.packed else 1)

    def latents(self, denoiser: ModelMixin, factor: int, width: int, height: int) -> tuple[int, int, int]:
        """Return the shape (channels, height, width) of an image's latents."""
        return self.channels(denoiser), height // factor, width // factor

    def decodes_in_float32(self, config: Mapping[str, Any]) -> bool:
        """Tell whether an autoencoder with this config decodes in float32, as some overflow in float16."""
        of_sdxl = self.kind in (StableDiffusionXLPipeline, StableDiffusionXLImg2ImgPipeline)
        return of_sdxl and bool(config.get("force_upcast", True))


_UNET = {"unet": UNet2DConditionModel, "vae": ModelMixin}  # there are small and asymmetric autoencoders, too
_CLIP, _PROJECTED_CLIP = {"text_encoder": CLIPTextModel}, {"text_encoder_2": CLIPTextModelWithProjection}
_RAW = {"clean_caption": False, "use_resolution_binning": False}  # neither texts nor sizes other than those asked for

STABLE_DIFFUSION = Family(StableDiffusionPipeline, _CLIP | _UNET)
CONSISTENCY = Family(LatentConsistencyModelPipeline, _CLIP | _UNET)
SDXL = Family(StableDiffusionXLPipeline, _CLIP | _PROJECTED_CLIP | _UNET)
REFINER = Family(
    StableDiffusionXLImg2ImgPipeline,
    _CLIP | _PROJECTED_CLIP | _UNET,
    optional=("text_encoder", "tokenizer"),
)
SD3 = Family(
    StableDiffusion3Pipeline,
    {
        "text_encoder": CLIPTextModelWithProjection,
        **_PROJECTED_CLIP,
        "text_encoder_3": T5EncoderModel,
        "transformer": SD3Transformer2DModel,
        "vae": AutoencoderKL,
    },
    optional=("text_encoder_3", "tokenizer_3"),
    flow=True,
    seeded=False,
    lengths={"tokenizer_3": 256},
)
FLUX = Family(
    FluxPipeline,
    {**_CLIP, "text_encoder_2": T5EncoderModel, "transformer": FluxTransformer2DModel, "vae": AutoencoderKL},
    packed=True,
    flow=True,
    seeded=False,
    lengths={"tokenizer_2": 512},
)
_PIXART = {"text_encoder": T5EncoderModel, "transformer": PixArtTransformer2DModel, "vae": AutoencoderKL}
PIXART_ALPHA = Family(PixArtAlphaPipeline, _PIXART, lengths={"tokenizer": 120}, lower=True, call=_RAW)
PIXART_SIGMA = Family(PixArtSigmaPipeline, _PIXART, lengths={"tokenizer": 300}, lower=True, call=_RAW)
SANA = Family(
    SanaPipeline,
    {"text_encoder": Gemma2PreTrainedModel, "transformer": SanaTransformer2DModel, "vae": AutoencoderDC},
    least=32,
    flow=True,
    lengths={"tokenizer": 300},
    lower=True,
    call=_RAW,
)

_FAMILIES = {
    each.name: each for each in (STABLE_DIFFUSION, CONSISTENCY, SDXL, SD3, FLUX, PIXART_ALPHA, PIXART_SIGMA, SANA)
}
FAMILIES: dict[str, Family] = _FAMILIES | {name: _FAMILIES[same] for name, same in SAME.items()}
"""By the class that a model_index.json names."""

_BY_KIND = {family.kind: family for family in (*FAMILIES.values(), REFINER)}


def family_of(pipeline: DiffusionPipeline) -> Family:
    """Return the family of an open pipeline."""
    return _BY_KIND[type(pipeline)]


def find_misfits(family: Family, parts: Mapping[str, Any], aesthetics: bool = False) -> Iterator[str]:
    """Yield what does not fit together: the texts' features, the latents, and what the denoiser takes beside.

    Args:
        parts: the networks by name; None for one that is left out.
        aesthetics: whether the denoiser is told a score of beauty, as SDXL's refiner is.
    """
    takes, given = parts[family.denoiser].config, {name: parts[name] for name in family.encoders if parts[name]}
    widths = {name: encoder.config.hidden_size for name, encoder in given.items()}
    if family.denoiser == "unet":
        if takes.encoder_hid_dim_type is None:
            yield from _compare(widths, "numbers per token", "unet", takes.cross_attention_dim)
        yield from _of_unet(family, takes, given, aesthetics)
    elif family is SD3:
        last = {name: widths[name] for name in ("text_encoder_3",) if name in widths}
        yield from _compare(last, "numbers per token", "transformer", takes.joint_attention_dim)
        pooled = {name: given[name].config.projection_dim for name in ("text_encoder", "text_encoder_2")}
        yield from _compare(pooled, "numbers per text", "transformer", takes.pooled_projection_dim)
    elif family is FLUX:
        words, text = ({name: widths[name]} for name in ("text_encoder_2", "text_encoder"))
        yield from _compare(words, "numbers per token", "transformer", takes.joint_attention_dim)
        yield from _compare(text, "numbers per text", "transformer", takes.pooled_projection_dim)
    else:
        yield from _compare(widths, "numbers per token", "transformer", takes.caption_channels)
    yield from _of_latents(family, parts[family.denoiser], parts["vae"])


def _compare(given: Mapping[str, int], what: str, network: str, taken: int | Sequence[int]) -> Iterator[str]:
    """Yield what is wrong if encoders' numbers together are not what a network takes."""
    wanted = {taken} if isinstance(taken, int) else set(taken)
    if given and wanted != {sum(given.values())}:
        verb = "give" if len(given) > 1 else "gives"
        asked = ", ".join(map(str, sorted(wanted)))
        yield f"{' and '.join(given)} {verb} {sum(given.values())} {what}, and {network} takes {asked}"


def _of_unet(family: Family, takes: Any, given: Mapping[str, Any], aesthetics: bool) -> Iterator[str]:
    sizes = "addition_embed_type" if family.kind in (SDXL.kind, REFINER.kind) else None
    if more := [key for key in PROJECTED if takes[key] is not None and key != sizes]:
        yield f"unet takes more than a text ({', '.join(more)}), as those of other pipelines"
    if sizes and takes[sizes] != "text_time":
        yield f"unet takes no sizes (addition_embed_type is {takes[sizes]}), as SDXL's do; it is of another pipeline"
    elif family is CONSISTENCY and takes.time_cond_proj_dim is None:
        yield "unet takes no scale of guidance, as those of latent consistency models do"
    elif sizes:
        numbers = given["text_encoder_2"].config.projection_dim
        wanted = takes.projection_class_embeddings_input_dim - (5 if aesthetics else 6) * takes.addition_time_embed_dim
        yield from _compare({"text_encoder_2": numbers}, "numbers per text", "unet", wanted)


def _of_latents(family: Family, denoiser: ModelMixin, vae: ModelMixin) -> Iterator[str]:
    """Yield what is wrong with the channels; PixArt's transformer gives as many again for the noise's spread."""
    channels, takes = vae.config.latent_channels, family.channels(denoiser)
    gives = (denoiser.config.out_channels or denoiser.config.in_channels) // (4 if family.packed else 1)
    fitting = (channels, 2 * channels) if denoiser.config.get("norm_type") == "ada_norm_single" else (channels,)
    if takes != channels or gives not in fitting:
        yield (
            f"vae has latents of {channels} channels, and {family.denoiser} takes {takes} and gives {gives}; was it trained "
            f"for another task, such as to fill in parts of images?"
        )


# --- Prompts ---


@dataclass(frozen=True)
class Reader:
    """What reads a prompt.

    Args:
        name: of the text encoder.
        limit: how many tokens it reads, with those that mark start and end.
        prefix: what stands before each prompt.
        lower: whether it reads lower case.
    """

    name: str
    tokenizer: PreTrainedTokenizerBase
    limit: int
    prefix: str = ""
    lower: bool = False


def readers_of(pipeline: DiffusionPipeline, instructed: bool = True) -> list[Reader]:
    """Return what reads the prompts of a pipeline.

    Args:
        instructed: whether before a prompt stands the instruction that Sana puts there, and not before a negative one.
    """
    family = family_of(pipeline)
    prefix = ""
    if family is SANA and instructed:
        call = inspect.signature(SanaPipeline.__call__).parameters
        prefix = "\n".join(call["complex_human_instruction"].default)
    readers = []
    for encoder, name in zip(family.encoders, family.tokenizers, strict=True):
        if (tokenizer := getattr(pipeline, name)) is None:
            continue
        limit = length_of(family, name, pipeline.components)
        if prefix:  # diffusers reads so many tokens more, of which two mark start and end in other tokenisers
            limit += len(tokenizer.encode(prefix)) - 2
        readers.append(Reader(encoder, tokenizer, limit, prefix, family.lower))
    return readers


def length_of(family: Family, tokenizer: str, parts: Mapping[str, Any]) -> int:
    """Return how many tokens of a prompt a pipeline reads with one of its tokenisers.

    Args:
        parts: those of the pipeline, by name.
    """
    if family is FLUX and tokenizer == "tokenizer_2" and not parts["transformer"].config.guidance_embeds:
        return 256  # of the network that needs no guidance, to which shorter texts were shown
    if family is SD3 and tokenizer == "tokenizer_2":
        tokenizer = "tokenizer"  # diffusers takes the first one's
    return family.lengths.get(tokenizer) or parts[tokenizer].model_max_length


# --- What a step takes ---


def step_inputs(
    family: Family, denoiser: ModelMixin, encoders: Mapping[str, Any], latents: torch.Tensor, words: int
) -> dict[str, Any]:
    """Return what a denoiser takes in one step, with random texts, for what a step costs.

    Args:
        encoders: the text encoders, by name.
        latents: (N, channels, height, width).
        words: tokens of a text.
    """
    number, takes = len(latents), denoiser.config
    texts, time = (lambda width: latents.new_zeros(number, words, width)), latents.new_full((number,), 500.0)
    if family.denoiser == "unet":
        width = (
            takes.cross_attention_dim if isinstance(takes.cross_attention_dim, int) else takes.cross_attention_dim[0]
        )
        inputs = {"sample": latents, "timestep": time, "encoder_hidden_states": texts(width)}
        if takes.addition_embed_type == "text_time":
            width = encoders["text_encoder_2"].config.projection_dim
            sizes = (takes.projection_class_embeddings_input_dim - width) // takes.addition_time_embed_dim
            pooled = latents.new_zeros(number, width)
            inputs["added_cond_kwargs"] = {"text_embeds": pooled, "time_ids": latents.new_zeros(number, sizes)}
        return inputs
    if family is SD3:
        pooled = latents.new_zeros(number, takes.pooled_projection_dim)
        found = {"hidden_states": latents, "encoder_hidden_states": texts(takes.joint_attention_dim)}
        return found | {"pooled_projections": pooled, "timestep": time}
    if family is FLUX:
        _, channels, height, width = latents.shape
        positions = height // 2 * (width // 2)
        return {
            "hidden_states": latents.new_zeros(number, positions, 4 * channels),
            "encoder_hidden_states": texts(takes.joint_attention_dim),
            "pooled_projections": latents.new_zeros(number, takes.pooled_projection_dim),
            "timestep": time,
            "img_ids": latents.new_zeros(positions, 3),
            "txt_ids": latents.new_zeros(words, 3),
            "guidance": time if takes.guidance_embeds else None,
        }
    inputs = {"hidden_states": latents, "encoder_hidden_states": texts(takes.caption_channels), "timestep": time}
    inputs["encoder_attention_mask"] = latents.new_ones(number, words)
    if family is not SANA:
        sizes = {"resolution": latents.new_zeros(number, 2), "aspect_ratio": latents.new_zeros(number, 1)}
        inputs["added_cond_kwargs"] = sizes
    return inputs
