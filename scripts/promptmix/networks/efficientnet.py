"""EfficientNet-B5 (Tan, Le: EfficientNet, ICML 2019) as an encoder: AdaBins' first half.

This is the variant with TensorFlow's padding, `tf_efficientnet_b5_ap` of github.com/rwightman/gen-efficientnet-pytorch
(Apache-2.0), without its classifier. Keys and shapes are also those of timm's `tf_efficientnet_b5`.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from promptmix.networks.layers import channels

STEM, HEAD = 48, 2048
STAGES = (
    # blocks, kernel, stride, expansion, channels
    (3, 3, 1, 1, 24),
    (5, 3, 2, 6, 40),
    (5, 5, 2, 6, 64),
    (7, 3, 2, 6, 128),
    (7, 5, 1, 6, 176),
    (9, 5, 2, 6, 304),
    (3, 3, 1, 6, 512),
)
"""EfficientNet-B5's channels and stages. The stem comes first and has stride 2."""

TAPPED = (0, 1, 2, 4)
"""Indices of the stages whose outputs are returned: the last of each size except the smallest."""

EPSILON = 1e-3
"""Epsilon of the batch normalisations, as in TensorFlow."""


class EfficientNet(nn.Module):
    """Features of an image at strides 2, 4, 8, 16 and 32.

    A new network has Kaiming's weights.

    Args:
        width: share of the published number of channels (1 = published).
        depth: share of the published number of blocks in each stage (1 = published); each has at least one.
    """

    def __init__(self, width: float = 1.0, depth: float = 1.0):
        super().__init__()
        if not depth > 0:
            raise ValueError(f"the encoder's depth is {depth!r}; expected a share of the published blocks, above 0")
        inputs = channels(STEM, width)
        self.conv_stem = SameConvolution(3, inputs, 3, stride=2)
        self.bn1 = nn.BatchNorm2d(inputs, eps=EPSILON)
        self.blocks = nn.ModuleList()
        for blocks, kernel, stride, expansion, published in STAGES:
            outputs = channels(published, width)
            stage = nn.Sequential()
            for i in range(max(1, round(blocks * depth))):
                kind = SeparableBlock if expansion == 1 else InvertedBlock
                stage.append(kind(outputs if i else inputs, outputs, kernel, 1 if i else stride, expansion))
            self.blocks.append(stage)
            inputs = outputs
        self.conv_head = nn.Conv2d(inputs, channels(HEAD, width), 1, bias=False)
        # In every checkpoint, but without effect: the features are taken before it.
        self.bn2 = nn.BatchNorm2d(channels(HEAD, width), eps=EPSILON)
        self.channels = [channels(STAGES[i][-1], width) for i in TAPPED] + [channels(HEAD, width)]
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_out = module.weight[0, 0].numel() * module.out_channels // module.groups
                nn.init.normal_(module.weight, std=(2 / fan_out) ** 0.5)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return five maps, at strides 2 to 32 and with `self.channels` channels, for RGB (N, 3, H, W)."""
        features = F.silu(self.bn1(self.conv_stem(image)), inplace=True)
        tapped = []
        for i, stage in enumerate(self.blocks):
            features = stage(features)
            if i in TAPPED:
                tapped.append(features)
        return [*tapped, self.conv_head(features)]


class SameConvolution(nn.Conv2d):
    """A convolution without bias whose output's sides are ceil(input / stride), padded as in TensorFlow.

    If the padding is odd, the larger half is on the right and below. Only strided convolutions differ from PyTorch's.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1):
        padding = kernel // 2 if stride == 1 else 0
        super().__init__(inputs, outputs, kernel, stride=stride, padding=padding, groups=groups, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        if stride > 1:
            rows, columns = (max((-(-n // stride) - 1) * stride + kernel - n, 0) for n in features.shape[-2:])
            features = F.pad(features, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))
        return super().forward(features)


class SqueezeExcite(nn.Module):
    """Multiplies each channel by a number in (0, 1) computed from the means of all channels."""

    def __init__(self, inputs: int, between: int):
        super().__init__()
        self.conv_reduce = nn.Conv2d(inputs, between, 1)
        self.conv_expand = nn.Conv2d(between, inputs, 1)

    def forward(self, features: Tensor) -> Tensor:
        means = features.mean((2, 3), keepdim=True)
        return features * self.conv_expand(F.silu(self.conv_reduce(means), inplace=True)).sigmoid()


class SeparableBlock(nn.Module):
    """A depthwise convolution, then a 1x1 one; with a shortcut if the shape does not change."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int = 1):
        super().__init__()
        self.shortcut = stride == 1 and inputs == outputs
        self.conv_dw = SameConvolution(inputs, inputs, kernel, stride, groups=inputs)
        self.bn1 = nn.BatchNorm2d(inputs, eps=EPSILON)
        self.se = SqueezeExcite(inputs, max(1, inputs // 4))
        self.conv_pw = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs, eps=EPSILON)

    def forward(self, features: Tensor) -> Tensor:
        found = F.silu(self.bn1(self.conv_dw(features)), inplace=True)
        found = self.bn2(self.conv_pw(self.se(found)))
        return found + features if self.shortcut else found


class InvertedBlock(nn.Module):
    """A 1x1 convolution to `expansion` times the channels, followed by the layers of `SeparableBlock`."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        self.shortcut = stride == 1 and inputs == outputs
        between = expansion * inputs
        self.conv_pw = nn.Conv2d(inputs, between, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(between, eps=EPSILON)
        self.conv_dw = SameConvolution(between, between, kernel, stride, groups=between)
        self.bn2 = nn.BatchNorm2d(between, eps=EPSILON)
        self.se = SqueezeExcite(between, max(1, inputs // 4))
        self.conv_pwl = nn.Conv2d(between, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs, eps=EPSILON)

    def forward(self, features: Tensor) -> Tensor:
        found = F.silu(self.bn1(self.conv_pw(features)), inplace=True)
        found = F.silu(self.bn2(self.conv_dw(found)), inplace=True)
        found = self.bn3(self.conv_pwl(self.se(found)))
        return found + features if self.shortcut else found
