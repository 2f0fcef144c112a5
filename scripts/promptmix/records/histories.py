"""Histories of trainings."""

from promptmix.records.record import Record
from promptmix.records.runs import RUN_KEYS

HISTORY = Record(
    "the history of a training",
    {
        **RUN_KEYS,
        "epoch": (int, "from 1"),
        "lr": (float, "learning rate in this epoch"),
        "loss": (float, "mean over the images of the epoch"),
        "val_error": (float, "on the validation split: MAE in people, or RMSE in metres; empty where not validated"),
        "images": (int, "images seen in the epoch, real and generated"),
        "generated": (int, "generated images seen in the epoch"),
        "updates": (int, "of the weights in the epoch"),
        "seconds": (float, "that the epoch took, without validation"),
    },
)
"""The epochs of a training; `experiment` and `learning_rate` are empty where it is not part of an experiment."""
