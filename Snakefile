"""PromptMix: text-to-image diffusion models enhance the performance of lightweight networks.

The stages are in rules/, in the paper's order. What is made is in results/{scale}/, and tables and figures to read are
in tables/ and figures/.
"""

import os

from snakemake.utils import min_version

min_version("9.27")

# The folder of this file, also where it is another workflow's module, and whatever --directory says.
REPOSITORY = workflow.current_basedir.get_path_or_uri(secret_free=True)

# --configfile is for the workflow that is run, which may use this one as a module.
GIVEN_CONFIGS = workflow.overwrite_configfiles if workflow.modifier.is_main_snakefile() else []
DEFAULT_CONFIG = os.path.relpath(os.path.join(REPOSITORY, "config", "config.yaml"))

# A config given by --configfile is complete by itself: the miniature's fills in nothing that it leaves out, unless it
# says `extends`. Snakemake passes over this where a `module` statement gives a config.
if not GIVEN_CONFIGS:

    configfile: DEFAULT_CONFIG


include: "rules/common.smk"


report: "report/workflow.rst"


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
include: "rules/limits.smk"
include: "rules/gallery.smk"
include: "rules/training.smk"
include: "rules/halving.smk"
include: "rules/tables.smk"
include: "rules/figures.smk"
include: "rules/publishing.smk"
include: "rules/planning.smk"
include: "rules/exporting.smk"


if "miniature" in config:

    include: "rules/miniature.smk"
