"""Say what the config's tables and figures cost, and what of it is done and was spent."""

from promptmix.running import job

with job.start(snakemake) as device:
    import logging
    import sys

    from promptmix.config.validation import resolve
    from promptmix.files import replacing, write_csv
    from promptmix.preflight.costing import Rule, as_markdown, estimate

    params = snakemake.params
    rules = {name: Rule(**rule) for name, rule in params.rules.items()}
    found = estimate(*resolve(snakemake.config), rules, params.at_once, params.cores, device)
    text = as_markdown(found, snakemake.config["scale"])
    with replacing(params.markdown) as temporary:
        temporary.write_text(f"{text}\n")
    write_csv(params.csv, [*found.targets, *({"kind": "rule", "name": row["rule"], **row} for row in found.rules)])
    print(text, flush=True)
    if not sys.stdout.isatty():
        logging.getLogger(__name__).info("\n%s", text)
