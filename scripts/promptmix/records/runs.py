"""What a trained network is known by."""

RUN_KEYS = {
    "experiment": (str, "name of the experiment, or of the annotator"),
    "learning_rate": (str, "as it is spelled in the config, such as 1e-3; empty for an annotator"),
    "repeat": (int, "from 0"),
}
"""What a trained network is known by."""
