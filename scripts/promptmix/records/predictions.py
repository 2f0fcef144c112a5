"""Predictions of test images."""

from promptmix.records.record import Record
from promptmix.records.runs import RUN_KEYS

PREDICTIONS = Record(
    "the predictions of test images",
    {**RUN_KEYS, "image": (str, "name of the real image within its dataset")},
    others=True,
)
"""Predictions of a dataset's test split by each repeat; the further columns are those of the task, from which its metrics
follow: for counting those of `COUNTS`, for depth those of `promptmix.tasks.depth_metrics.image_sums`."""

COUNTS = Record(
    "the predicted counts of test images",
    {
        **PREDICTIONS.columns,
        "count": (float, "people in the image"),
        "predicted": (float, "people that the network sees"),
        "error": (float, "predicted - count"),
    },
)
"""`PREDICTIONS` of counting."""
