"""Write a pipeline of few channels as one file, with the names that the authors of Stable Diffusion gave its tensors."""

import re
from pathlib import Path

import torch
from diffusers import DiffusionPipeline
from safetensors.torch import save_file
from torch import Tensor

RESNET = {"norm1": "in_layers.0", "conv1": "in_layers.2", "norm2": "out_layers.0", "conv2": "out_layers.3"}
RESNET |= {"time_emb_proj": "emb_layers.1", "conv_shortcut": "skip_connection"}
ENDS = {"time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2"}
ENDS |= {"add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2"}
ENDS |= {"conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2"}

OPEN_CLIP = {"layer_norm1": "ln_1", "layer_norm2": "ln_2", "fc1": "c_fc", "fc2": "c_proj", "self_attn": "attn"}


def save_single_file(pipeline: DiffusionPipeline, path: Path) -> Path:
    """Write a pipeline of Stable Diffusion 1's or SDXL's kind as one file of safetensors, and return its path."""
    unet, vae = pipeline.unet, pipeline.vae
    found = {f"model.diffusion_model.{name}": tensor for name, tensor in _unet(unet).items()}
    found |= {f"first_stage_model.{name}": tensor for name, tensor in _vae(vae).items()}
    second = getattr(pipeline, "text_encoder_2", None)
    prefix = "cond_stage_model" if second is None else "conditioner.embedders.0"
    for name, tensor in pipeline.text_encoder.state_dict().items():
        found[f"{prefix}.transformer.text_model.{name.removeprefix('text_model.')}"] = tensor
    if second is not None:
        found |= {f"conditioner.embedders.1.model.{name}": tensor for name, tensor in _open_clip(second).items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in found.items()}, path)
    return path


def _unet(unet: torch.nn.Module) -> dict[str, Tensor]:
    layers, found = unet.config.layers_per_block, {}
    attended = {name.split(".")[1] for name in unet.state_dict() if re.match(r"up_blocks\.\d+\.attentions", name)}
    for name, tensor in unet.state_dict().items():
        where, _, kind = name.rpartition(".")
        if where in ENDS:
            found[f"{ENDS[where]}.{kind}"] = tensor
            continue
        part, *words = name.split(".")
        if part == "mid_block":
            group, number, *rest = words
            place = f"middle_block.{2 * int(number) if group == 'resnets' else 1}"
        else:
            block, group, number, *rest = words
            first, up = int(block) * (layers + 1), part == "up_blocks"
            if group == "downsamplers":
                place, rest = f"input_blocks.{first + layers + 1}.0.op", rest[1:]
            elif group == "upsamplers":
                place = f"output_blocks.{first + layers}.{2 if block in attended else 1}"
            else:
                at = first + int(number) + (0 if up else 1)
                place = f"{'output' if up else 'input'}_blocks.{at}.{0 if group == 'resnets' else 1}"
        rest = [RESNET.get(rest[0], rest[0]), *rest[1:]] if group == "resnets" else rest
        found[".".join([place, *rest])] = tensor
    return found


def _vae(vae: torch.nn.Module) -> dict[str, Tensor]:
    found, blocks = {}, len(vae.config.block_out_channels)

    def up(match: re.Match) -> str:
        return f"up.{blocks - 1 - int(match[1])}"

    names = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
    for name, tensor in vae.state_dict().items():
        name = re.sub(r"down_blocks\.(\d+)\.resnets\.(\d+)", r"down.\1.block.\2", name)
        name = re.sub(r"down_blocks\.(\d+)\.downsamplers\.0", r"down.\1.downsample", name)
        name = re.sub(r"up_blocks\.(\d+)(?=\.resnets)", up, name).replace(".resnets.", ".block.")
        name = re.sub(r"up_blocks\.(\d+)(?=\.upsamplers)", up, name).replace(".upsamplers.0", ".upsample")
        name = re.sub(r"mid_block\.block\.(\d)", lambda match: f"mid.block_{int(match[1]) + 1}", name)
        name = name.replace("conv_shortcut", "nin_shortcut").replace("conv_norm_out", "norm_out")
        if "mid_block.attentions.0" in name:
            where, kind = name.replace("mid_block.attentions.0", "mid.attn_1").rsplit(".", 1)
            for ours, theirs in names.items():
                where = re.sub(rf"\.{re.escape(ours)}$", f".{theirs}", where)
            name = f"{where}.{kind}"
            tensor = tensor[:, :, None, None] if tensor.ndim == 2 else tensor
        found[name] = tensor
    return found


def _open_clip(encoder: torch.nn.Module) -> dict[str, Tensor]:
    """Return OpenCLIP's names, whose layers hold the projections to queries, keys and values in one tensor."""
    state, found = encoder.state_dict(), {}
    ends = {"embeddings.token_embedding.weight": "token_embedding.weight"}
    ends |= {"embeddings.position_embedding.weight": "positional_embedding"}
    ends |= {"final_layer_norm.weight": "ln_final.weight", "final_layer_norm.bias": "ln_final.bias"}
    for name, tensor in state.items():
        name = name.removeprefix("text_model.")
        if name == "text_projection.weight":
            found["text_projection"] = tensor.T
        elif name in ends:
            found[ends[name]] = tensor
        elif match := re.fullmatch(r"encoder\.layers\.(\d+)\.self_attn\.q_proj\.(weight|bias)", name):
            key = f"text_model.{name}" if f"text_model.{name}" in state else name
            three = [state[key.replace("q_proj", part)] for part in ("q_proj", "k_proj", "v_proj")]
            found[f"transformer.resblocks.{match[1]}.attn.in_proj_{match[2]}"] = torch.cat(three)
        elif match := re.fullmatch(r"encoder\.layers\.(\d+)\.((?!.*[kv]_proj).+)", name):
            words = [OPEN_CLIP.get(word, word) for word in match[2].split(".")]
            found[f"transformer.resblocks.{match[1]}.{'.'.join(words)}"] = tensor
    return found
