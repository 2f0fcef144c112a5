"""Render more images like those of a dataset, and label them, in the place of generated ones."""

from promptmix.running import job

with job.start(snakemake) as device:
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from promptmix.datasets.index import Index
    from promptmix.miniature.limits import name_images, render_more, true_maps, write_images
    from promptmix.networks.registry import STRIDES
    from promptmix.synthesis.annotation import annotate
    from promptmix.synthesis.comparing import compare, write_comparison
    from promptmix.synthesis.ensemble import load_members
    from promptmix.synthesis.mixing import write_fake

    source, output, params = snakemake.input, snakemake.output, snakemake.params
    with TemporaryDirectory() as place:
        index = render_more(
            *(Path(place), params.render, params.dataset, params.name, params.number, params.seed, snakemake.threads)
        )
        if params.members:
            members = [
                job.with_inputs(snakemake, member, weights=f"weights_{i}") for i, member in enumerate(params.members)
            ]
            stride, total = STRIDES[params.task], len(index)
            network = load_members(members, device)
            maps = annotate(network, name_images(index), device, stride, name=params.labels, total=total)
        else:
            maps = true_maps(index, params.task, params.sigma, params.kernel)
        fake = write_images(output.images, index, maps, params.labels, params.task)
    write_fake(output.fake, fake)
    write_comparison(output.compared, compare(fake, Index.open(source.index), params.task))
