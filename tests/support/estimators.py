"""Depth estimators and object detectors of transformers, with few channels and random weights, as folders."""

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import (
    BeitConfig,
    DepthAnythingConfig,
    DepthAnythingForDepthEstimation,
    DetrConfig,
    DetrForObjectDetection,
    DetrImageProcessor,
    Dinov2Config,
    DPTConfig,
    DPTForDepthEstimation,
    DPTImageProcessor,
    ResNetConfig,
    RTDetrConfig,
    RTDetrForObjectDetection,
    RTDetrImageProcessor,
    RTDetrResNetConfig,
    YolosConfig,
    YolosForObjectDetection,
    YolosImageProcessor,
    ZoeDepthConfig,
    ZoeDepthForDepthEstimation,
    ZoeDepthImageProcessor,
)

LABELS = {0: "bicycle", 1: "person"}


def _save(folder: Path, model: torch.nn.Module, processor, spread: float = 0) -> Path:
    """Save a model with its image processor.

    Args:
        spread: of random weights, for models that as they are see the same in all images.
    """
    with torch.no_grad():
        for parameter in model.parameters():
            if spread and parameter.ndim > 1:
                parameter.normal_(std=spread)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def save_depth_anything(folder: Path, depth_estimation_type: str = "metric", max_depth: int = 20) -> Path:
    """Save a Depth Anything, metric or relative."""
    torch.manual_seed(0)
    backbone = Dinov2Config(
        image_size=28,
        patch_size=14,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        mlp_ratio=2,
        out_features=["stage1", "stage2"],
        reshape_hidden_states=False,
    )
    config = DepthAnythingConfig(
        backbone_config=backbone,
        patch_size=14,
        reassemble_hidden_size=16,
        reassemble_factors=[2, 1],
        neck_hidden_sizes=[8, 8],
        fusion_hidden_size=8,
        head_hidden_size=4,
        depth_estimation_type=depth_estimation_type,
        max_depth=max_depth,
    )
    size = {"height": 42, "width": 42}
    processor = DPTImageProcessor(size=size, keep_aspect_ratio=True, ensure_multiple_of=14)
    return _save(folder, DepthAnythingForDepthEstimation(config), processor, 0.15)


def save_zoedepth(folder: Path) -> Path:
    """Save a ZoeDepth, which is metric."""
    torch.manual_seed(0)
    backbone = BeitConfig(
        image_size=32,
        patch_size=16,
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        intermediate_size=16,
        use_relative_position_bias=True,
        out_features=["stage1", "stage2", "stage3", "stage4"],
        reshape_hidden_states=False,
    )
    config = ZoeDepthConfig(
        backbone_config=backbone,
        neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=8,
        bottleneck_features=8,
        num_relative_features=4,
        bin_embedding_dim=8,
        bin_configurations=[{"name": "nyu", "n_bins": 8, "min_depth": 0.001, "max_depth": 10.0}],
    )
    processor = ZoeDepthImageProcessor(size={"height": 32, "width": 32}, ensure_multiple_of=32)
    return _save(folder, ZoeDepthForDepthEstimation(config), processor, 0.2)


def save_dpt(folder: Path) -> Path:
    """Save a DPT, whose config.json says no unit."""
    torch.manual_seed(0)
    config = DPTConfig(
        image_size=32,
        patch_size=16,
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        intermediate_size=16,
        backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=8,
    )
    processor = DPTImageProcessor(size={"height": 32, "width": 32})
    return _save(folder, DPTForDepthEstimation(config), processor, 0.2)


def save_detr(folder: Path, queries: int = 5) -> Path:
    """Save a DETR."""
    torch.manual_seed(0)
    backbone = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], out_features=["stage2"])
    config = DetrConfig(
        backbone_config=backbone,
        use_timm_backbone=False,
        num_queries=queries,
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        id2label=LABELS,
    )
    processor = DetrImageProcessor(size={"shortest_edge": 32, "longest_edge": 64})
    return _save(folder, DetrForObjectDetection(config), processor)


def save_rt_detr(folder: Path, queries: int = 5) -> Path:
    """Save an RT-DETR, whose scores are sigmoids."""
    torch.manual_seed(0)
    backbone = RTDetrResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 16, 16, 16],
        depths=[1, 1, 1, 1],
        layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )
    config = RTDetrConfig(
        backbone_config=backbone,
        encoder_hidden_dim=16,
        encoder_in_channels=[16, 16, 16],
        encoder_ffn_dim=16,
        encoder_attention_heads=2,
        decoder_in_channels=[16, 16, 16],
        d_model=16,
        num_queries=queries,
        decoder_ffn_dim=16,
        decoder_layers=1,
        decoder_attention_heads=2,
        num_denoising=0,
        id2label=LABELS,
    )
    processor = RTDetrImageProcessor(size={"height": 64, "width": 64})
    return _save(folder, RTDetrForObjectDetection(config), processor)


def save_yolos(folder: Path, found: Sequence[tuple[str, float, float]] = (), spare: int = 1) -> Path:
    """Save a YOLOS that finds the same in every image: its layers pass the queries on, and its heads look each query up.

    Args:
        found: label, and x and y of the middle of its box, as shares of width and height.
        spare: queries that find nothing.
    """
    torch.manual_seed(0)
    number, size = len(found) + spare, 2 * (len(found) + spare)
    config = YolosConfig(
        image_size=[32, 32],
        patch_size=16,
        hidden_size=size,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=size,
        num_detection_tokens=number,
        use_mid_position_embeddings=False,
        id2label=LABELS,
    )
    model = YolosForObjectDetection(config).eval()
    with torch.no_grad():
        for name, parameter in model.vit.named_parameters():
            if "layernorm" not in name:
                parameter.zero_()
        one_hot = torch.eye(number, size)
        model.vit.embeddings.detection_tokens[0] = one_hot
        least, most = model.vit.layernorm(one_hot).aminmax()
        numbers = {text: label for label, text in LABELS.items()}
        logits, boxes = torch.zeros(number, 3), torch.zeros(number, 4)
        logits[:, 2] = 9  # nothing
        for query, (label, x, y) in enumerate(found):
            logits[query] = torch.nn.functional.one_hot(torch.tensor(numbers[label]), 3) * 9.0
            boxes[query] = torch.logit(torch.tensor([x, y, 0.1, 0.2]))
        for head, values in ((model.class_labels_classifier, logits), (model.bbox_predictor, boxes)):
            first, second, last = head.layers
            first.weight.copy_(torch.eye(size) / (most - least))  # of a query again a one-hot
            first.bias.fill_(-least / (most - least))
            second.weight.copy_(torch.eye(size))
            second.bias.zero_()
            last.weight.zero_()
            last.weight[:, :number] = values.T
            last.bias.zero_()
    return _save(folder, model, YolosImageProcessor(size={"shortest_edge": 32, "longest_edge": 64}))
