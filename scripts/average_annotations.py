"""Average the annotations of a block of images by several annotators."""

from promptmix.running import job

with job.start(snakemake):
    from promptmix.synthesis.averaging import average
    from promptmix.synthesis.maps import write_maps

    annotations, stride, task = average(list(snakemake.input))
    write_maps(snakemake.output[0], annotations, stride, snakemake.wildcards.annotator, task)
