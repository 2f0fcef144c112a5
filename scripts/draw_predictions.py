"""Show predictions without and with PromptMix beside the ground truth (Figures 3 and 4)."""

import json

from promptmix.running import job

with job.start(snakemake) as device:
    from itertools import islice
    from pathlib import Path

    from promptmix.datasets.index import Index
    from promptmix.networks.checkpoints import load_network
    from promptmix.report.figures import Comparison, draw_predictions

    source, output = snakemake.input, snakemake.output
    selections, checkpoints = iter(source.selections), iter(source.checkpoints)

    def network(experiment):
        """Return the network of the next experiment: of the chosen learning rate, the first repeat."""
        rates, repeats = experiment["learning_rates"], experiment["repeats"]
        runs = list(islice(checkpoints, len(rates) * repeats))
        choice = json.loads(Path(next(selections)).read_text())["learning_rate"]
        weights = runs[rates.index(choice) * repeats]
        return load_network(experiment["network"], weights, **experiment["settings"]).to(device)

    comparisons = (
        Comparison(
            title=pair["title"],
            index=Index.open(index),
            baseline=network(pair["baseline"]),
            promptmix=network(pair["promptmix"]),
            sigma=pair["sigma"],
            kernel=pair["kernel"],
        )
        for pair, index in zip(json.loads(snakemake.params.comparisons), source.indexes, strict=True)
    )
    draw_predictions(output.png, output.csv, comparisons, device)
