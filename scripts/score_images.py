"""Score one block of generated images by how much the annotators disagree."""

from promptmix.running import job

with job.start(snakemake):
    from promptmix.records.scores import QUALITY
    from promptmix.synthesis.quality import score_block

    QUALITY.write(snakemake.output[0], score_block(snakemake.input))
