"""Score one block of generated images by how much the annotators disagree."""

from promptmix.running import job

with job.start(snakemake):
    from promptmix.files import write_csv
    from promptmix.synthesis.quality import score_block

    write_csv(snakemake.output[0], score_block(snakemake.input))
