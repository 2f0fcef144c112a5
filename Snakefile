"""PromptMix: text-to-image diffusion models enhance the performance of lightweight networks.

The stages are in rules/, in the paper's order. What is made is in results/{scale}/, and tables and figures to read are
in tables/ and figures/.
"""

from snakemake.utils import min_version

min_version("9.27")

DEFAULT_CONFIG = "config/config.yaml"

# A config given by --configfile is complete by itself: the miniature's fills in nothing that it leaves out, unless it
# says `extends`.
if not workflow.overwrite_configfiles:

    configfile: DEFAULT_CONFIG


include: "rules/common.smk"


pathvars:
    results=RESULTS,
    logs=f"{RESULTS}/logs",
    benchmarks=f"{RESULTS}/benchmarks",


rule all:
    """All tables and figures that the config names."""
    input:
        expand("tables/{table}.md", table=config["tables"]),
        expand("figures/{figure}.png", figure=config["figures"]),


onerror:
    print(failures.report(f"{RESULTS}/logs", workflow.start_time.timestamp()), file=sys.stderr)


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
