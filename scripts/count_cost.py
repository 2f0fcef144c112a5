"""Count a network's parameters and multiply-accumulate operations."""

from promptmix.running import job

with job.start(snakemake):
    import json

    from promptmix.files import replacing
    from promptmix.networks.cost import count

    network, size = snakemake.params.network, snakemake.wildcards
    case = {"settings": network["settings"], "height": int(size.height), "width": int(size.width)}
    cost = {"network": network["reference"]} | case | count(network["reference"], **case)
    with replacing(snakemake.output[0]) as temporary:
        temporary.write_text(json.dumps(cost, indent=2) + "\n")
