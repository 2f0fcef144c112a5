# Named tasks. `make` lists them; each is an ordinary command that can be given by hand as well.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.PHONY: help quick test published workflow cluster fuzz lint types check boundaries rulegraph
.DEFAULT_GOAL := help

help:  ## This list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

quick:  ## Tests that take some minutes together
	uv run pytest -m quick

test:  ## All tests
	uv run pytest

published:  ## Read what is published with the library datasets, which is too large to be installed for all else
	uv run --with datasets==5.2.0 pytest -q tests/unit/test_publishing.py -k the_library_datasets

workflow:  ## Tests that run or plan real workflows
	uv run pytest -m workflow

cluster:  ## Tests on a Slurm that runs on this machine, if it is installed
	uv run pytest -m cluster

fuzz:  ## Damaged and odd datasets for ten minutes, other ones each time
	uv run pytest -m fuzz --fuzz-seconds 600 --fuzz-seed $$RANDOM

lint:  ## Formatters, linters, the order of the library's layers, types
	uv run ruff check .
	uv run ruff format --check .
	uv run snakefmt --check Snakefile rules
	uv run snakemake --lint
	PYTHONPATH=scripts uv run lint-imports --no-logo
	$(MAKE) types

types:  ## Type checker over config, running, report and records
	uv run mypy

check: lint test published  ## What CI runs, in its order

boundaries:  ## Write anew which rules an edit of each module makes run again (look at the difference)
	PYTHONPATH=scripts:tests uv run python tests/unit/test_boundaries.py

rulegraph:  ## Draw docs/rulegraph.svg (needs graphviz)
	PYTHONHASHSEED=0 uv run snakemake --rulegraph --forceall --quiet all | sed -n '/^digraph/,$$p' | dot -Tsvg -o docs/rulegraph.svg
