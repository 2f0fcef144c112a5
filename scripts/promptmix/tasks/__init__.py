"""What sets one task of dense regression apart from another: targets, loss, and how a prediction is scored.

A task is made of `TrainingSettings` and has

    target(index, i)                 what the network should give for a real image, (h, w) float32
    forward(network, images, device) what the network gives in training, for `loss`
    loss(predicted, targets)         mean over the images of a batch
    error(network, images, device)   the validation error: what the best epoch and the learning rate are chosen by
    predictions(network, images, device)   one row per image: the predictions.csv of an experiment
"""

from promptmix.tasks.counting import Counting
from promptmix.tasks.depth import Depth

TASKS = {"counting": Counting, "depth": Depth}
"""Tasks by the name that a network's class has as `task`."""
