"""Text-to-image pipelines with few channels and random weights, in diffusers' format."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import (
    AutoencoderDC,
    AutoencoderKL,
    DiffusionPipeline,
    DPMSolverMultistepScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxTransformer2DModel,
    LCMScheduler,
    PixArtTransformer2DModel,
    SanaTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    Gemma2Config,
    Gemma2Model,
    GemmaTokenizer,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

MODELS = Path(__file__).parents[2] / "resources" / "models"

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,:;-!?'()>\n"


def save_pipeline(
    folder: Path, kind: type[DiffusionPipeline] = StableDiffusionPipeline, blocks: int = 3, **unet: object
) -> Path:
    """Save a pipeline of the family of Stable Diffusion 1 and 2, and return its folder.

    Args:
        kind: its class.
        blocks: of the autoencoder, which halves the sides at all but one of them.
        unet: what differs in the U-Net's config.
    """
    torch.manual_seed(0)
    pipeline = kind(
        vae=_autoencoder(blocks),
        **_clip(layers=1),
        unet=_unet(**unet),
        scheduler=DPMSolverMultistepScheduler(prediction_type="v_prediction", steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(folder)
    return folder


def save_family(folder: Path, name: str, **changes: Any) -> Path:
    """Save a pipeline of another family, and return its folder.

    Args:
        name: a key of `FAMILIES`.
        changes: of its parts, by name; what else there is goes to the denoiser's config.
    """
    torch.manual_seed(0)
    kind, make = FAMILIES[name]
    parts = make(**changes)
    getattr(diffusers, kind)(**parts).save_pretrained(folder)
    return folder


def _clip(number: str = "", layers: int = 2, projected: bool = False, width: int = 16) -> dict[str, Any]:
    """Return a text encoder of CLIP's with its tokeniser, which reads 32 tokens."""
    tokenizer = CLIPTokenizer.from_pretrained(MODELS / "clip")
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=16,
        projection_dim=width,
        num_hidden_layers=layers,
        num_attention_heads=2,
        max_position_embeddings=tokenizer.model_max_length,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    encoder = (CLIPTextModelWithProjection if projected else CLIPTextModel)(config)
    return {f"text_encoder{number}": encoder, f"tokenizer{number}": tokenizer}


def _t5(number: str = "") -> dict[str, Any]:
    """Return a text encoder of T5's kind, with a tokeniser that knows letters."""
    vocabulary = [
        ("<pad>", 0.0),
        ("</s>", 0.0),
        ("<unk>", 0.0),
        ("\u2581", -2.0),
        *((letter, -3.0) for letter in LETTERS),
    ]
    tokenizer = T5Tokenizer(vocab=vocabulary, extra_ids=0, model_max_length=512)
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=32,
        d_kv=8,
        d_ff=16,
        num_layers=1,
        num_heads=2,
        feed_forward_proj="gated-gelu",
    )
    return {f"text_encoder{number}": T5EncoderModel(config), f"tokenizer{number}": tokenizer}


def _gemma() -> dict[str, Any]:
    """Return a text encoder of Gemma's kind, with a tokeniser that knows letters and no words."""
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "\u2581"]
    vocabulary = {token: i for i, token in enumerate([*special, *LETTERS, *LETTERS.upper()[:26]])}
    tokenizer = GemmaTokenizer(vocab=vocabulary, merges=[])
    config = Gemma2Config(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return {"text_encoder": Gemma2Model(config), "tokenizer": tokenizer}


def _autoencoder(blocks: int = 3, **more: Any) -> AutoencoderKL:
    vae = AutoencoderKL(
        latent_channels=4,
        block_out_channels=(8,) * blocks,
        down_block_types=("DownEncoderBlock2D",) * blocks,
        up_block_types=("UpDecoderBlock2D",) * blocks,
        norm_num_groups=4,
        **more,
    )
    torch.nn.init.normal_(vae.decoder.conv_out.weight, std=0.2)  # a new network's images have hardly any contrast
    return vae


def _unet(**more: Any) -> UNet2DConditionModel:
    usual = {
        "sample_size": 8,
        "in_channels": 4,
        "out_channels": 4,
        "layers_per_block": 1,
        "block_out_channels": (8, 16),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        "cross_attention_dim": 16,
        "attention_head_dim": 8,
        "norm_num_groups": 4,
    }
    return UNet2DConditionModel(**usual | more)


def _contrasted(network: torch.nn.Module) -> torch.nn.Module:
    """Return a network whose last layer is not zero, as that of new transformers is."""
    for name, parameter in network.named_parameters():
        if name.startswith("proj_out"):
            torch.nn.init.normal_(parameter, std=0.2)
    return network


def _consistency(**changes: Any) -> dict[str, Any]:
    without = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    unet = _unet(time_cond_proj_dim=8, **changes)
    return {"vae": _autoencoder(), **_clip(layers=1), "unet": unet, "scheduler": LCMScheduler(), **without}


def _sdxl(
    scheduler: Any = None, encoders: dict[str, Any] | None = None, sizes: int = 6, **changes: Any
) -> dict[str, Any]:
    """Return the parts of SDXL, or of its refiner, which is told `sizes` numbers and has only the second text encoder."""
    encoders = encoders or {**_clip(), **_clip("_2", projected=True)}
    texts = sum(name.startswith("text_encoder") and part is not None for name, part in encoders.items())
    added = {"addition_embed_type": "text_time", "addition_time_embed_dim": 8}
    added |= {"projection_class_embeddings_input_dim": 16 + 8 * sizes, "cross_attention_dim": 16 * texts}
    return {
        "vae": _autoencoder(),
        **encoders,
        "unet": _unet(**added | changes),
        "scheduler": scheduler or DPMSolverMultistepScheduler(),
    }


def _refiner(**changes: Any) -> dict[str, Any]:
    encoders = {"text_encoder": None, "tokenizer": None, **_clip("_2", projected=True)}
    return {**_sdxl(encoders=encoders, sizes=5, **changes), "requires_aesthetics_score": True}


def _sd3(with_t5: bool = True, scheduler: Any = None, **changes: Any) -> dict[str, Any]:
    usual = {"sample_size": 8, "in_channels": 4, "out_channels": 4, "num_layers": 1, "attention_head_dim": 8}
    usual |= {
        "num_attention_heads": 2,
        "joint_attention_dim": 32,
        "caption_projection_dim": 16,
        "pooled_projection_dim": 32,
    }
    return {
        "vae": _autoencoder(shift_factor=0.1),
        **_clip(projected=True),
        **_clip("_2", projected=True),
        **(_t5("_3") if with_t5 else {"text_encoder_3": None, "tokenizer_3": None}),
        "transformer": _contrasted(SD3Transformer2DModel(**usual | changes)),
        "scheduler": scheduler or FlowMatchEulerDiscreteScheduler(shift=3.0),
    }


def _flux(guidance_embeds: bool = True, **changes: Any) -> dict[str, Any]:
    usual = {
        "in_channels": 16,
        "num_layers": 1,
        "num_single_layers": 1,
        "attention_head_dim": 16,
        "num_attention_heads": 2,
    }
    usual |= {"joint_attention_dim": 32, "pooled_projection_dim": 16, "axes_dims_rope": (4, 6, 6)}
    transformer = FluxTransformer2DModel(**usual | {"guidance_embeds": guidance_embeds} | changes)
    return {
        "vae": _autoencoder(shift_factor=0.1),
        **_clip(),
        **_t5("_2"),
        "transformer": _contrasted(transformer),
        "scheduler": FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=guidance_embeds),
    }


def _pixart(**changes: Any) -> dict[str, Any]:
    usual = {"num_attention_heads": 2, "attention_head_dim": 8, "in_channels": 4, "out_channels": 8, "num_layers": 1}
    usual |= {"cross_attention_dim": 16, "sample_size": 8, "patch_size": 2, "caption_channels": 32}
    return {
        "vae": _autoencoder(),
        **_t5(),
        "transformer": _contrasted(PixArtTransformer2DModel(**usual | changes)),
        "scheduler": DPMSolverMultistepScheduler(),
    }


def _sana(**changes: Any) -> dict[str, Any]:
    usual = {"in_channels": 4, "out_channels": 4, "num_layers": 1, "num_attention_heads": 2, "attention_head_dim": 8}
    usual |= {"num_cross_attention_heads": 2, "cross_attention_head_dim": 8, "cross_attention_dim": 16}
    usual |= {"caption_channels": 16, "sample_size": 8}
    vae = AutoencoderDC(
        latent_channels=4,
        attention_head_dim=2,
        encoder_block_types=("ResBlock", "EfficientViTBlock"),
        decoder_block_types=("ResBlock", "EfficientViTBlock"),
        encoder_block_out_channels=(8, 8),
        decoder_block_out_channels=(8, 8),
        encoder_layers_per_block=(1, 1),
        decoder_layers_per_block=(1, 1),
        encoder_qkv_multiscales=((), (5,)),
        decoder_qkv_multiscales=((), (5,)),
        downsample_block_type="conv",
        upsample_block_type="interpolate",
        scaling_factor=0.4,
    )
    torch.nn.init.normal_(
        vae.decoder.conv_out.conv.weight if hasattr(vae.decoder.conv_out, "conv") else vae.decoder.conv_out.weight,
        std=0.2,
    )
    return {
        "vae": vae,
        **_gemma(),
        "transformer": _contrasted(SanaTransformer2DModel(**usual | changes)),
        "scheduler": FlowMatchEulerDiscreteScheduler(shift=3.0),
    }


FAMILIES: dict[str, tuple[str, Callable[..., dict[str, Any]]]] = {
    "lcm": ("LatentConsistencyModelPipeline", _consistency),
    "sdxl": ("StableDiffusionXLPipeline", _sdxl),
    "refiner": ("StableDiffusionXLImg2ImgPipeline", _refiner),
    "sd3": ("StableDiffusion3Pipeline", _sd3),
    "flux": ("FluxPipeline", _flux),
    "pixart-alpha": ("PixArtAlphaPipeline", _pixart),
    "pixart-sigma": ("PixArtSigmaPipeline", _pixart),
    "sana": ("SanaPipeline", _sana),
}
"""By name, the class in diffusers, and what makes its parts."""
