"""What a run of training depends on besides its data."""

from dataclasses import dataclass, field

from promptmix.errors import InputError


@dataclass(frozen=True)
class TrainingSettings:
    """Everything that a run depends on besides its data.

    Args:
        network: a key of `promptmix.networks.registry.NETWORKS`.
        learning_rate: of the first epoch.
        epochs: passes over the real training images.
        batch_size: images per update, where so many have one size.
        seed: first weights and order of the images.
        network_settings: such as `{"width": 0.5}`.
        r_mix: generated images per epoch.
        repeated: real images per epoch that are seen once more than the others, drawn like the generated ones.
        real_images: False to train on generated images alone.
        flip: mirror each image with a chance of one half (the paper names no augmentation).
        density_scale: the network learns density times this number (C-3-Framework: 100); the weights that are saved
            give density itself. For networks whose last layer is a convolution named `output_layer`.
        sigma, kernel: of the ground truth's Gaussian, in pixels.
        precision: "float32", or "float16" for mixed precision on CUDA.
        validate_every: epochs between validations; the last epoch is validated in any case.
        weight_decay, decay: AdamW's decay, and what the learning rate is multiplied with after each epoch.
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
    validate_every: int = 1
    weight_decay: float = 1e-4
    decay: float = 0.99

    def __post_init__(self):
        if self.precision not in ("float32", "float16"):
            raise InputError(f"precision is {self.precision!r}; expected 'float32' or 'float16'")
        for name in ("epochs", "batch_size", "validate_every"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; expected 1 or more")
        if not (self.real_images or self.r_mix):
            raise InputError("real_images is false and r_mix is 0: there is nothing to train on. Raise r_mix")
