"""AdaBins (Bhat, Alhashim, Wonka: AdaBins: Depth Estimation Using Adaptive Bins, CVPR 2021).

The PromptMix paper's annotator of rooms: EfficientNet-B5, a decoder, and a small transformer that divides the range of
depths into bins for each image. 78 257 328 parameters. The keys are those of the published checkpoints
(github.com/shariqfarooq123/AdaBins). The authors' code is under the GPL; this is written from the facts, without
copying.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from promptmix.errors import InputError
from promptmix.networks.efficientnet import EfficientNet
from promptmix.networks.layers import channels

NEAREST, FARTHEST = 1e-3, 10.0
"""Range of depths in metres, as for NYU Depth V2."""

QUERIES = 128
"""Number of patches that become kernels; one more patch gives the bins."""

POSITIONS = 500
"""Number of patches that have a learnt position."""


class AdaBins(nn.Module):
    """Depth of each pixel in metres, in images of rooms.

    A new network has Kaiming's weights in the encoder and PyTorch's elsewhere. (The authors take ImageNet's weights for
    the encoder.)

    Args:
        width: share of the published number of channels of encoder, decoder and bin regressor (1 = published).
        encoder_depth: share of the published number of blocks in each of the encoder's stages (1 = published).
        embedding: number of features of a pixel and of a patch, a multiple of four.
        patch: side of a patch in cells of the decoder's map, each two image pixels wide. An image must have 129 to 500
            whole patches, see `forward`.
        bins: number of depth bins.
    """

    task = "depth"
    stride = 1
    published = (
        "AdaBins_nyu.pt is in the Google Drive folder 1nYyaQXOBjNdUJDsmJpcRpu6oE55aQoLA "
        "(github.com/shariqfarooq123/AdaBins)"
    )
    renamed_keys = {
        r"adaptive_bins_layer\.embedding_conv\.": "adaptive_bins_layer.conv3x3.",
        r"adaptive_bins_layer\.patch_transformer\.embedding_encoder": (
            "adaptive_bins_layer.patch_transformer.embedding_convPxP"
        ),
    }
    """Renamed tensors: a pattern for the start of a key in older checkpoints, and what it is called now."""

    def __init__(
        self,
        width: float = 1.0,
        encoder_depth: float = 1.0,
        embedding: int = 128,
        patch: int = 16,
        bins: int = 256,
    ):
        super().__init__()
        if embedding < 4 or embedding % 4:
            raise ValueError(f"embedding is {embedding!r}; four heads share it, so it must be a multiple of four")
        if patch < 1:
            raise ValueError(f"patch is {patch!r}; expected a number of cells of the decoder's map, 1 or more")
        if bins < 1:
            raise ValueError(f"bins is {bins!r}; expected 1 or more")
        # The authors' encoder is inside a wrapper, whose name is part of the keys.
        self.encoder = nn.ModuleDict({"original_model": EfficientNet(width, encoder_depth)})
        self.adaptive_bins_layer = AdaptiveBins(embedding, patch, channels(256, width), bins)
        self.decoder = Decoder(self.encoder["original_model"].channels, width, embedding)
        self.conv_out = nn.Sequential(nn.Conv2d(QUERIES, bins, 1), nn.Softmax(dim=1))

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the largest size, at most the image's, whose sides are multiples of 32, the encoder's stride."""
        return height - height % 32, width - width % 32

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return the edges of the bins, (N, bins + 1), and the depth, (N, 1, H/2, W/2), both in metres.

        Args:
            image: ImageNet-normalised RGB, (N, 3, H, W), with sides that are multiples of 32.

        Raises:
            InputError: the image has fewer patches than bins and kernels need, or more than there are positions.
        """
        self.adaptive_bins_layer.check(*image.shape[-2:])
        features = self.decoder(self.encoder["original_model"](image))
        widths, responses = self.adaptive_bins_layer(features)
        probabilities = self.conv_out(responses)
        edges = F.pad((FARTHEST - NEAREST) * widths, (1, 0), value=NEAREST).cumsum(1)
        centres = (edges[:, :-1] + edges[:, 1:]) / 2
        return edges, torch.einsum("nbhw,nb->nhw", probabilities, centres)[:, None]

    def depth(self, image: Tensor) -> Tensor:
        """Return metres in [1e-3, 10], (N, 1, H, W), for images as in `forward`.

        As in the authors' inference, this is the mean of the results for the image and for the mirrored image, the
        latter mirrored back.
        """
        straight, mirrored = (self(x)[1].clamp(NEAREST, FARTHEST) for x in (image, image.flip(-1)))
        mean = (straight + mirrored.flip(-1)) / 2
        return F.interpolate(mean, image.shape[-2:], mode="bilinear", align_corners=True)


class Decoder(nn.Module):
    """Combines the encoder's five maps into one of `outputs` channels, at stride 2.

    Args:
        inputs: channels of the encoder's maps, from stride 2 to 32.
        width: share of the published number of channels.
        outputs: channels of the result; `width` does not scale them.
    """

    def __init__(self, inputs: list[int], width: float, outputs: int):
        super().__init__()
        deepest = inputs[-1]
        c1, c2, c3, c4 = (channels(c, width) for c in (1024, 512, 256, 128))
        self.conv2 = nn.Conv2d(deepest, deepest, 1, padding=1)  # 1x1 but padded: the map grows by two
        self.up1 = UpSampling(deepest + inputs[3], c1)
        self.up2 = UpSampling(c1 + inputs[2], c2)
        self.up3 = UpSampling(c2 + inputs[1], c3)
        self.up4 = UpSampling(c3 + inputs[0], c4)
        self.conv3 = nn.Conv2d(c4, outputs, 3, padding=1)

    def forward(self, maps: list[Tensor]) -> Tensor:
        features = self.conv2(maps[4])
        features = self.up1(features, maps[3])
        features = self.up2(features, maps[2])
        features = self.up3(features, maps[1])
        features = self.up4(features, maps[0])
        return self.conv3(features)


class UpSampling(nn.Module):
    """Resizes a map to one of the encoder's, concatenates both, and applies two normalised 3x3 convolutions."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self._net = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=1),
            nn.BatchNorm2d(outputs),
            nn.LeakyReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1),
            nn.BatchNorm2d(outputs),
            nn.LeakyReLU(),
        )

    def forward(self, features: Tensor, tapped: Tensor) -> Tensor:
        features = F.interpolate(features, tapped.shape[-2:], mode="bilinear", align_corners=True)
        return self._net(torch.cat([features, tapped], 1))


class AdaptiveBins(nn.Module):
    """The authors' mini-ViT: computes, from the decoder's map, the bins' widths and each pixel's responses to kernels.

    Args:
        embedding: channels of the map, and features of a patch.
        patch: side of a patch.
        hidden: hidden features of the layers that give the bins' widths.
        bins: number of bins.
    """

    def __init__(self, embedding: int, patch: int, hidden: int, bins: int):
        super().__init__()
        self.patch = patch
        self.patch_transformer = PatchTransformer(embedding, patch)
        self.conv3x3 = nn.Conv2d(embedding, embedding, 3, padding=1)
        self.regressor = nn.Sequential(
            nn.Linear(embedding, hidden),
            nn.LeakyReLU(),
            nn.Linear(hidden, hidden),
            nn.LeakyReLU(),
            nn.Linear(hidden, bins),
        )

    def check(self, height: int, width: int) -> None:
        """Raise an InputError if an image of this size has too few or too many patches."""

        def patches(side: int) -> int:
            return (height // 2 // side) * (width // 2 // side)

        if QUERIES < patches(self.patch) <= POSITIONS:
            return
        side = 2 * self.patch
        fitting = [p for p in range(1, min(height, width) // 2 + 1) if QUERIES < patches(p) <= POSITIONS]
        other = f", or a network with `patch` {' or '.join(map(str, fitting))}" if fitting else ""
        raise InputError(
            f"AdaBins divides an image of {width}x{height} pixels into {patches(self.patch)} patches of {side}x{side} "
            f"pixels (patch: {self.patch}), and needs {QUERIES + 1} to {POSITIONS}. Expected an image of about "
            f"{(QUERIES + 1) * side**2} to {POSITIONS * side**2} pixels{other}"
        )

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return the widths of the bins, (N, bins), which add up to 1, and the responses, (N, QUERIES, h, w)."""
        tokens = self.patch_transformer(features)
        widths = F.relu(self.regressor(tokens[:, 0])) + 0.1
        kernels = tokens[:, 1 : QUERIES + 1]
        responses = torch.einsum("nqe,nehw->nqhw", kernels, self.conv3x3(features))
        return widths / widths.sum(1, keepdim=True), responses


class PatchTransformer(nn.Module):
    """Turns a map (N, embedding, h, w) into a token of `embedding` features per patch, (N, patches, embedding)."""

    def __init__(self, embedding: int, patch: int):
        super().__init__()
        layer = nn.TransformerEncoderLayer(embedding, nhead=4, dim_feedforward=8 * embedding, batch_first=True)
        self.transformer_encoder = nn.TransformerEncoder(layer, num_layers=4, enable_nested_tensor=False)
        self.embedding_convPxP = nn.Conv2d(embedding, embedding, patch, stride=patch)
        self.positional_encodings = nn.Parameter(torch.rand(POSITIONS, embedding))

    def forward(self, features: Tensor) -> Tensor:
        tokens = self.embedding_convPxP(features).flatten(2).transpose(1, 2)
        return self.transformer_encoder(tokens + self.positional_encodings[: tokens.shape[1]])
