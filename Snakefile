"""PromptMix: text-to-image diffusion models enhance the performance of lightweight networks.

The stages stand in rules/, in the paper's order. What is made lies in results/{scale}/, what is read in tables/.
"""

from snakemake.utils import min_version

min_version("9.27")


# A config that is named (--configfile) stands alone: nothing of the miniature shines through what it leaves out.
if not workflow.overwrite_configfiles:

    configfile: "config/config.yaml"


include: "rules/common.smk"


pathvars:
    results=f"results/{config['scale']}",
    logs=f"results/{config['scale']}/logs",


rule all:
    """All tables and figures that the config names."""
    input:
        expand("tables/{table}.md", table=config["tables"]),
        expand("figures/{figure}.png", figure=config["figures"]),
        "figures/examples.png",


onerror:
    print(failures.report(f"results/{config['scale']}/logs", workflow.start_time.timestamp()), file=sys.stderr)


include: "rules/retrieve.smk"
include: "rules/datasets.smk"
include: "rules/captions.smk"
include: "rules/prompts.smk"
include: "rules/images.smk"
include: "rules/annotations.smk"
include: "rules/filtering.smk"
include: "rules/mixing.smk"
include: "rules/training.smk"
include: "rules/tables.smk"
include: "rules/figures.smk"


if "miniature" in config:

    include: "rules/miniature.smk"
