"""The settings of a training run."""

from dataclasses import dataclass, field, replace

from promptmix.errors import InputError


@dataclass(frozen=True)
class TrainingSettings:
    """Everything that a run depends on besides its data.

    Args:
        network: a key of `promptmix.networks.registry.NETWORKS`.
        learning_rate: that of the first epoch.
        epochs: number of passes over the real training images.
        batch_size: images per update; fewer if not that many have one size.
        seed: for the initial weights and the order of the images.
        network_settings: keyword arguments of the network, such as `{"width": 0.5}`.
        r_mix: number of generated images per epoch.
        repeated: number of real images per epoch that are seen once more, drawn like the generated ones.
        real_images: False to train on generated images only.
        flip: mirror each image with probability 1/2 (the paper names no augmentation).
        density_scale: the network learns density times this number (C-3-Framework: 100); with the saved weights it
            gives density itself. For networks whose last layer is a convolution named `output_layer`.
        sigma, kernel: deviation and side of the ground truth's Gaussian, in pixels.
        precision: "float32", or for mixed precision "float16", on CUDA, or "bfloat16".
        accumulate: number of parts in which a batch goes through the network, one after the other, to take less memory; fewer
            where one would have a single image. An update is that of the whole batch; batch normalisation takes its statistics
            from each part.
        tf32: whether convolutions on a GPU may round what they multiply to 10 bits (TF32) in float32, as torch lets them.
        cudnn_benchmark: whether a GPU tries algorithms and takes the fastest, also of those whose sums have no fixed order. Then
            the same run, or its second half after it was killed, has other last bits each time.
        compile: whether torch compiles the network, for each size of batch anew, up to eight.
        validate_every: number of epochs between validations; the last epoch is always validated.
        weight_decay, decay: AdamW's decay, and the factor of the learning rate after each epoch.

    Raises:
        InputError: a setting is out of range.
    """

    network: str
    learning_rate: float
    epochs: int
    batch_size: int
    seed: int
    network_settings: dict = field(default_factory=dict)
    r_mix: int = 0
    repeated: int = 0
    real_images: bool = True
    flip: bool = False
    density_scale: float = 1.0
    sigma: float = 4.0
    kernel: int = 15
    precision: str = "float32"
    accumulate: int = 1
    tf32: bool = True
    cudnn_benchmark: bool = False
    compile: bool = False
    validate_every: int = 1
    weight_decay: float = 1e-4
    decay: float = 0.99

    def with_at_most(self, images: int) -> "TrainingSettings":
        """Return the settings with an r_mix of no more than that many generated images, as many as filters have left."""
        return replace(self, r_mix=min(self.r_mix, images))

    def __post_init__(self):
        if self.precision not in ("float32", "float16", "bfloat16"):
            raise InputError(f"precision is {self.precision!r}; expected 'float32', 'float16' or 'bfloat16'")
        for name in ("epochs", "batch_size", "validate_every", "accumulate"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; expected 1 or more")
        if not (self.real_images or self.r_mix):
            raise InputError("real_images is false and r_mix is 0: there are no images to train on. Raise r_mix")
