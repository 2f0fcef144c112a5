"""Look for everything that the config's tables and figures need, and say what is missing and what to do about it."""

from promptmix.running import job

with job.start(snakemake):
    import logging
    import sys

    from promptmix.config.validation import resolve
    from promptmix.errors import InputError
    from promptmix.preflight.report import report
    from promptmix.preflight.survey import survey

    config = snakemake.config
    items = survey(config, *resolve(config), config.get("preflight"), workers=snakemake.threads)
    table = report(items)
    print(table, flush=True)
    if not sys.stdout.isatty():  # Snakemake shows the log of a job that fails, and one table on the terminal will do
        logging.getLogger(__name__).info("\n%s", table)
    if problems := sum(not item.ok for item in items):
        raise InputError(
            f"{problems} of {len(items)} things are missing or wrong; the table says what to do about each"
        )
