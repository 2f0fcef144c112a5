"""Where datasets, checkpoints and models come from: what config/sources.yaml says.

Snakemake imports this at every start, so it imports little.
"""

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from promptmix.config.loading import read_yaml
from promptmix.config.messages import explain
from promptmix.errors import InputError, did_you_mean
from promptmix.networks.registry import NETWORKS

CONFIG = Path(__file__).resolve().parents[3] / "config"
SOURCES = CONFIG / "sources.yaml"
SCHEMA = CONFIG / "schemas" / "sources.schema.yaml"

DOWNLOADS = "resources/downloads"
"""Files as they are published, fetched or put there by hand."""

DATASETS = "resources/datasets"
"""A folder per dataset, unpacked or put there by hand."""

HUB = "resources/hub"
"""A folder per model."""

CHECKPOINTS = "resources/checkpoints"
"""A file per imported checkpoint."""

WAYS = ("url", "hub", "by_hand")
"""Ways to get something; each entry has one."""

WITH_BACKBONE = ("csrnet", "rescsrnet", "guidedepth")
"""Networks whose training starts from a backbone's weights."""


@cache
def load(path: str | Path = SOURCES) -> dict[str, Any]:
    """Return the entries by section and name: `datasets`, `checkpoints`, `models` and `networks`. Do not change them.

    Raises:
        InputError: one line per problem: where, what is wrong, what was expected.
    """
    shown = os.path.relpath(path)
    content, schema = read_yaml(shown), read_yaml(SCHEMA)
    errors = sorted(Draft202012Validator(schema).iter_errors(content), key=lambda error: list(error.absolute_path))
    problems = [line for error in errors for line in explain(error, schema)] or list(_inconsistent(content))
    if problems:
        raise InputError("\n".join(f"{shown}: {problem}" for problem in dict.fromkeys(problems)))
    return content


def downloads(path: str | Path = SOURCES) -> dict[str, dict[str, Any]]:
    """Return the entries of files that are fetched from an address, by name in `DOWNLOADS`."""
    entries = load(path)
    return {e["download"]: e for kind in ("datasets", "checkpoints") for e in entries[kind].values() if "url" in e}


def archives(path: str | Path = SOURCES) -> dict[str, str]:
    """Return the archives that are fetched, names in `DOWNLOADS`, by the folder of `DATASETS` that each becomes."""
    entries = load(path)["datasets"].values()
    return {e["path"].removeprefix(f"{DATASETS}/"): e["download"] for e in entries if _is_archive(e)}


def how_to_get(kind: str, name: str, path: str | Path = SOURCES) -> str:
    """Return what to do to get something: what exactly, from where, to where, and under which licence.

    Args:
        kind: a section: datasets, checkpoints or models.
        name: of an entry of it.
        path: the file to look in.
    """
    entry = load(path)[kind][name]
    place = {"checkpoints": f"{CHECKPOINTS}/{name}.safetensors", "models": f"{HUB}/{name}"}.get(kind) or entry["path"]
    download = f"{DOWNLOADS}/{entry['download']}" if "download" in entry else place
    facts = [f"{entry['bytes']} bytes"] if "bytes" in entry else []
    facts += [f"SHA-256 {entry['sha256']}"] if "sha256" in entry else []
    known = f" ({', '.join(facts)})" if facts else ""
    if "by_hand" in entry:
        how = (
            f"fetch it by hand. {' '.join(entry['by_hand'].split()).rstrip('.')}. It has to lie here: {download}{known}"
        )
    elif "hub" in entry:
        files = " ".join(f"'{pattern}'" for pattern in entry["files"])
        how = (
            f"`snakemake {place} --cores 1` fetches it from https://huggingface.co/{entry['hub']}, revision "
            f"{entry['revision']}; by hand, put these files of it into {place}: {files}"
        )
    else:
        how = f"`snakemake {place} --cores 1` fetches it from {entry['url']}{known}; by hand, put that here: {download}"
    then = f", and the workflow makes {place} of it" if download != place else ""
    licence = entry["licence"]
    terms = [f"{use} {licence[use]}" for use in ("research", "commercial", "redistribute")]
    where = f", {licence['url']}" if licence["url"] else ""
    return f"{entry['title']}: {how}{then}. Licence: {licence['name']} ({', '.join(terms)}{where})."


def provenance(kind: str, name: str, path: str | Path = SOURCES) -> dict[str, str]:
    """Return what a file made from an entry should say of itself: title, source and licence."""
    entry = load(path)[kind][name]
    return {
        "title": entry["title"],
        "source": " ".join(
            [*next(entry[way] for way in WAYS if way in entry).split(), entry.get("revision", "")]
        ).strip(),
        "licence": ", ".join(filter(None, (entry["licence"]["name"], entry["licence"]["url"]))),
    }


def _is_archive(entry: dict[str, Any]) -> bool:
    return "url" in entry and entry["path"] != f"{DOWNLOADS}/{entry['download']}"


def _inconsistent(content: dict[str, Any]) -> Iterator[str]:
    """Yield what does not go together in and between entries that fit the schema."""
    users: dict[str, str] = {}
    for kind in ("datasets", "checkpoints", "models"):
        for name, entry in content[kind].items():
            where = f"{kind}.{name}"
            ways = [way for way in WAYS if way in entry]
            if len(ways) != 1:
                known = ("hub", "by_hand") if kind == "models" else ("url", "by_hand")
                found = " and ".join(ways) or "none"
                yield f"{where}: expected exactly one of {' and '.join(known)}, found {found}"
                continue
            needed = {"url": ["download"], "hub": ["revision", "files"], "by_hand": []}[ways[0]]
            for key in (key for key in needed if key not in entry):
                yield f"{where}.{key} is missing: an entry with {ways[0]} needs it"
                break
            else:
                yield from _misplaced(where, entry) if kind == "datasets" else ()
                yield from _unfit(where, entry) if kind == "checkpoints" else ()
                download = entry.get("download")
                if download and users.setdefault(download, where) != where:
                    yield f"{where}.download: '{download}' is also that of {users[download]}; name the file otherwise"


def _misplaced(where: str, entry: dict[str, Any]) -> Iterator[str]:
    """Yield a problem if no rule makes a dataset from its download."""
    path, download = entry["path"], entry.get("download")
    if download and path != f"{DOWNLOADS}/{download}":
        if "by_hand" in entry:
            yield f"{where}.download: a dataset that is fetched by hand lies at its path; take it away"
        elif not path.startswith(f"{DATASETS}/"):
            yield f"{where}.path: '{path}' is neither the download in {DOWNLOADS}/ nor a folder in {DATASETS}/"


def _unfit(where: str, entry: dict[str, Any]) -> Iterator[str]:
    """Yield a problem if a checkpoint is of no network."""
    known = WITH_BACKBONE if entry.get("backbone") else sorted(NETWORKS)
    if (network := entry["network"]) not in known:
        what = "a network with a backbone" if entry.get("backbone") else "a network"
        yield f"{where}.network: '{network}' is not {what}. Known: {', '.join(known)}.{did_you_mean(network, known)}"
