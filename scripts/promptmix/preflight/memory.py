"""Predict how much memory of a GPU a job needs, before it runs and without a GPU.

The real networks run on tensors that have a shape and no values (torch's fake tensors), and the bytes of those that are
alive are counted, operation by operation; nothing is computed, and a prediction takes about a second. That holds on a
CPU's operators. Attention counts as its inputs and its result, as in CUDA's fused kernels, and not as a matrix of all
positions by all positions. Mixed precision is counted with a CPU's list of operations that stay in float32, which is a
little longer than CUDA's.

So this is computed, not measured on a GPU. To the tensors come what cuDNN needs while it works, what the
allocator cannot use, and what CUDA itself takes: `SLACK` and `CONTEXT` stand for these three and are assumptions.
`benchmarks/generation.py` and `benchmarks/training.py` print a GPU's own number beside the prediction.
"""

import warnings
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import CLIPTextConfig, CLIPTextModel

from promptmix.networks.build import build
from promptmix.networks.registry import map_shape
from promptmix.networks.text_to_image import TWO_PASSES, find_guidance
from promptmix.synthesis import families
from promptmix.synthesis import generation as generating
from promptmix.synthesis.families import Family
from promptmix.synthesis.pipelines import read_index
from promptmix.synthesis.pretrained import read_json
from promptmix.tasks.batching import BATCH_PIXELS, padded_size
from promptmix.training.objective import load_objective

CONTEXT = 2**30
"""Bytes that CUDA and its libraries take for themselves."""

SLACK = 1.25
"""Bytes to have for each byte of tensors, for workspaces and gaps between blocks. On a CPU, trainings were seen to take
1.13 to 1.25 times their tensors."""

ALIGNMENT = 512
"""torch's allocator gives out multiples of this number of bytes."""

STABLE_DIFFUSION: dict[str, dict[str, Any]] = {
    "unet": {
        "sample_size": 64,
        "in_channels": 4,
        "out_channels": 4,
        "layers_per_block": 2,
        "block_out_channels": (320, 640, 1280, 1280),
        "down_block_types": (*("CrossAttnDownBlock2D",) * 3, "DownBlock2D"),
        "up_block_types": ("UpBlock2D", *("CrossAttnUpBlock2D",) * 3),
        "attention_head_dim": 8,  # in diffusers' configs of this network: the number of heads
        "cross_attention_dim": 768,
    },
    "vae": {
        "sample_size": 512,
        "latent_channels": 4,
        "layers_per_block": 2,
        "block_out_channels": (128, 256, 512, 512),
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
        "scaling_factor": 0.18215,
    },
    "text_encoder": {  # of CLIP ViT-L/14
        "vocab_size": 49408,
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "max_position_embeddings": 77,
    },
}
"""The architecture of Stable Diffusion v1, in the words of diffusers' and transformers' configs."""


@dataclass(frozen=True)
class Diffusion:
    """The networks of a diffusion model, in evaluation mode, with random weights.

    Args:
        guided: how it is guided, see `promptmix.networks.text_to_image.find_guidance`.
        parts: the networks by name.
    """

    family: Family
    guided: str
    parts: Mapping[str, Any]

    @property
    def denoiser(self) -> nn.Module:
        """The network that denoises."""
        return self.parts[self.family.denoiser]

    @property
    def factor(self) -> int:
        """How many times smaller than an image its latents are."""
        config = self.parts["vae"].config
        blocks = config.get("encoder_block_out_channels") or config["block_out_channels"]
        return 2 ** (len(blocks) - 1)

    @property
    def passes(self) -> int:
        """How many times a step takes the network, with guidance."""
        return 2 if self.guided == TWO_PASSES else 1

    @property
    def words(self) -> int:
        """How many tokens of a prompt the denoiser gets, at most."""
        longest = [self.parts[name].config for name in self.family.encoders if self.parts.get(name) is not None]
        of_encoder = max(getattr(config, "max_position_embeddings", 0) for config in longest)
        of_pipeline = sum(self.family.lengths.values())
        return of_pipeline + of_encoder if self.family is families.SD3 else of_pipeline or of_encoder

    def inner_size(self, width: int, height: int, native: int | Sequence[int] | None = None) -> tuple[int, int]:
        """Return the size at which an image is generated."""
        multiple = self.family.multiple(self.factor, self.denoiser.config.get("patch_size") or 1)
        return generating.inner_size(width, height, multiple, native)

    def latents(self, number: int, width: int, height: int) -> Tensor:
        """Return the latents of images of a size that it can make, with any values."""
        shape = self.family.latents(self.denoiser, self.factor, width, height)
        return torch.zeros(number, *shape, dtype=self.denoiser.dtype)

    def step(self, latents: Tensor) -> Any:
        """Take one step of one pass."""
        return self.denoiser(**families.step_inputs(self.family, self.denoiser, self.parts, latents, self.words))


def generation(
    width: int,
    height: int,
    precision: str = "float16",
    batch: int | None = None,
    model: str | Path | None = None,
    overhead: bool = True,
    native: int | Sequence[int] | None = None,
    offload: str | None = None,
    refiner: str | Path | None = None,
) -> int:
    """Return the bytes that `promptmix.synthesis.generation.generate` needs for images of `width` x `height`, with guidance.

    Args:
        precision: "float16", "bfloat16" or "float32".
        batch: images at once; by default as many as `generate` makes at once on a GPU.
        model: a folder in diffusers' format, of which only the configs are read; by default Stable Diffusion v1.
        overhead: with `SLACK` and `CONTEXT`; without them it is the tensors alone, which
            `torch.cuda.max_memory_allocated` reports.
        native, offload: as in `promptmix.synthesis.pipelines.GeneratorSettings`.
        refiner: the folder of SDXL's second half.
    """
    weights, works = [], []  # of each network, and what it needs while it computes
    for folder in [model, *([refiner] if refiner else [])]:
        for bytes_, work in _measure_parts(folder, getattr(torch, precision), (width, height), batch, native):
            weights.append(bytes_)
            works.append(work)
    if offload == "sequential":
        return _total(max(works), overhead)
    if offload == "model":
        return _total(max(map(sum, zip(weights, works, strict=True))), overhead)
    return _total(sum(weights) + max(works), overhead)


def _measure_parts(
    model: str | Path | None,
    dtype: torch.dtype,
    size: tuple[int, int],
    batch: int | None,
    native: int | Sequence[int] | None,
) -> list[tuple[int, int]]:
    """Return the bytes of each network's weights, and of what it needs while it computes. Texts need next to nothing."""
    found = []
    with _on_fake_tensors() as memory, torch.no_grad():
        diffusion = load_diffusion(model, dtype)
        width, height = diffusion.inner_size(*size, native)
        batch = batch or max(1, generating.BATCH_PIXELS["cuda"] // (width * height))
        vae = diffusion.parts["vae"]
        generating.decode_in_parts(vae, width, height)
        vae.blend_v = vae.blend_h = lambda _, tile, __: tile  # a Python loop over pixels, in place: costs time only
        latents = diffusion.latents(batch, width, height)

        def measure(compute: Callable[[], Any]) -> int:
            before = memory.peak = memory.now
            compute()
            return memory.peak - before

        for name, network in diffusion.parts.items():
            work = 0
            if name == diffusion.family.denoiser:
                work = measure(lambda: diffusion.step(torch.cat([latents] * diffusion.passes)))
            elif name == "vae":
                work = measure(lambda: vae.decode(latents.to(vae.dtype)))
            found.append((_bytes_of(network), work))
    return found


def annotation(
    network: str,
    width: int,
    height: int,
    settings: Mapping[str, Any] | None = None,
    batch: int | None = None,
    overhead: bool = True,
    precision: str = "float32",
) -> int:
    """Return the bytes that a network needs to predict the maps of images of `width` x `height`.

    Args:
        network: a key of `promptmix.networks.registry.NETWORKS`.
        settings: of the network; the published ones where not given.
        batch: images at once; by default as many as `promptmix.synthesis.annotation.annotate` takes.
        overhead: as for `generation`.
        precision: "float32", or "bfloat16" for mixed precision.
    """
    with _on_fake_tensors() as memory, torch.autocast("cpu", torch.bfloat16, enabled=precision != "float32"):
        _predict(build(network, **settings or {}), width, height, batch)
    return _total(memory.peak, overhead)


def training(
    network: str,
    width: int,
    height: int,
    batch_size: int,
    precision: str = "float32",
    settings: Mapping[str, Any] | None = None,
    overhead: bool = True,
) -> int:
    """Return the bytes that `promptmix.training.loop.train` needs for images of `width` x `height`: updates and validation.

    Args:
        network: a key of `promptmix.networks.registry.NETWORKS`.
        batch_size: images that go through the network at once.
        precision: "float32", or "float16" or "bfloat16" for mixed precision.
        settings: of the network; the published ones where not given.
        overhead: as for `generation`.
    """
    with _on_fake_tensors() as memory:
        model = build(network, **settings or {})
        objective = load_objective(model, sigma=4, kernel=15, density_scale=1)
        moments = [torch.empty_like(p) for p in model.parameters() for _ in range(2)]  # AdamW's
        with torch.autocast("cpu", torch.float16, enabled=precision != "float32"):  # bfloat16 is as large
            predicted = _forward(model, width, height, batch_size)
        targets = torch.empty(batch_size, *map_shape(height, width, model.stride))
        objective.loss(predicted, targets).backward()
        del predicted, targets
        _predict(model, width, height, None)  # the gradients are still there, as in training
        del moments
    return _total(memory.peak, overhead)


def load_diffusion(model: str | Path | None = None, dtype: torch.dtype = torch.float32) -> Diffusion:
    """Return the networks of a diffusion model with random weights.

    Args:
        model: a folder in diffusers' format, of which only the configs are read; by default Stable Diffusion v1.
        dtype: of the weights.
    """
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        if model is None:
            parts = {
                "text_encoder": CLIPTextModel(CLIPTextConfig(**STABLE_DIFFUSION["text_encoder"])),
                "unet": UNet2DConditionModel(**STABLE_DIFFUSION["unet"]),
                "vae": AutoencoderKL(**STABLE_DIFFUSION["vae"]),
            }
            family, guided = families.STABLE_DIFFUSION, TWO_PASSES
        else:
            index, family = read_index(str(model), Path(model))
            named = {name: index[name] for name in family.networks if index.get(name) and index[name][0]}
            parts = {}
            for name, (_, kind) in named.items():
                upcast = name == "vae" and family.decodes_in_float32(read_json(Path(model, name, "config.json")))
                torch.set_default_dtype(torch.float32 if upcast else dtype)
                parts[name] = _build(kind, Path(model, name))
            scheduler = read_json(Path(model, "scheduler", "scheduler_config.json"))
            scheduler.setdefault("_class_name", index["scheduler"][1])
            guided = find_guidance(family.name, parts[family.denoiser].config, scheduler)
        return Diffusion(family, guided, {name: network.eval() for name, network in parts.items()})
    finally:
        torch.set_default_dtype(before)


def _build(name: str, folder: Path) -> nn.Module:
    """Return a network of diffusers or transformers by the name of its class, as its config says."""
    if (kind := getattr(diffusers, name, None)) is not None:
        return kind.from_config(kind.load_config(folder))
    kind = getattr(transformers, name)
    return kind(kind.config_class.from_pretrained(folder))


def _bytes_of(network: nn.Module) -> int:
    return sum(-(-tensor.nbytes // ALIGNMENT) * ALIGNMENT for tensor in [*network.parameters(), *network.buffers()])


class _Memory(TorchDispatchMode):
    """Counts the bytes of tensors that are alive, as operations make them and Python lets go of them."""

    def __init__(self):
        super().__init__()
        self.now = self.peak = 0
        self._alive: set[int] = set()

    def __torch_dispatch__(self, operation: Callable, types, args=(), kwargs=None):
        result = operation(*args, **kwargs or {})
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                self._count(tensor.untyped_storage())
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata  # a view's storage is that of the tensor that it shows
        if key in self._alive:
            return
        bytes_ = -(-storage.nbytes() // ALIGNMENT) * ALIGNMENT
        self._alive.add(key)
        self.now += bytes_
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._forget, key, bytes_)

    def _forget(self, key: int, bytes_: int) -> None:
        self._alive.discard(key)
        self.now -= bytes_


class _Fake(FakeTensorMode):
    """Stays one mode where a module copies its layers, and with them their tensors."""

    def __deepcopy__(self, _):
        return self


@contextmanager
def _on_fake_tensors():
    """Make all tensors inside fake ones and count them."""
    with warnings.catch_warnings(), _Fake(), _Memory() as memory:
        warnings.filterwarnings("ignore", "Accessing the data pointer of FakeTensor")  # torch itself, when it copies
        yield memory


def _forward(network: nn.Module, width: int, height: int, batch: int) -> Any:
    """Return what a task's `forward` gives for a batch of images, for its loss."""
    images = torch.empty(batch, 3, *padded_size(network, height, width))
    if network.task != "counting":
        return network(images)
    rows, columns = map_shape(height, width, network.stride)
    return network.density(images)[:, 0, :rows, :columns]


def _predict(network: nn.Module, width: int, height: int, batch: int | None) -> None:
    batch = batch or max(1, BATCH_PIXELS // (width * height))
    network.eval()
    with torch.no_grad():
        _forward(network, width, height, batch)


def _total(tensors: int, overhead: bool) -> int:
    return round(tensors * SLACK) + CONTEXT if overhead else tensors
