"""Show predictions without and with PromptMix beside the ground truth, as in Figures 3 and 4."""

from promptmix.running import job

with job.start(snakemake) as device:
    import json
    from pathlib import Path

    from promptmix.datasets.index import Index
    from promptmix.networks.checkpoints import load_network
    from promptmix.report.figures import Comparison, draw_predictions
    from promptmix.training.evaluation import checkpoint_of

    source, output = snakemake.input, snakemake.output
    selections = {Path(file).parent.name: file for file in source.selections}

    def network_of(experiment, reference, settings):
        """Return the network of an experiment: of the chosen learning rate, the first repeat."""
        choice = json.loads(Path(selections[experiment]).read_text())["learning_rate"]
        runs = [file for file in source.checkpoints if Path(file).parents[2].name == experiment]
        return load_network(reference, checkpoint_of(runs, choice), **settings).to(device)

    comparisons = (
        Comparison(
            title=row["title"],
            dataset=row["dataset"],
            index=Index.open(row["index"]),
            networks={method: network_of(**network) for method, network in row["networks"].items()},
            experiments={method: network["experiment"] for method, network in row["networks"].items()},
            sigma=row["sigma"],
            kernel=row["kernel"],
        )
        for row in snakemake.params.comparisons
    )
    draw_predictions(output.png, output.csv, comparisons, device)
