"""Count a network's parameters and multiply-accumulate operations."""

import json

from promptmix.running import job

with job.start(snakemake):
    from promptmix.files import replacing
    from promptmix.networks.cost import count

    params = snakemake.params
    case = {"settings": json.loads(params.settings), "height": params.height, "width": params.width}
    cost = {"network": params.network} | case | count(params.network, **case)
    with replacing(snakemake.output[0]) as temporary:
        temporary.write_text(json.dumps(cost, indent=2) + "\n")
