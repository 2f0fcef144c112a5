"""What comes from elsewhere is described completely and without contradiction, and told to whoever has to fetch it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from promptmix.config import sources
from promptmix.errors import InputError

ROOT = Path(sources.__file__).parents[3]
HASH, REVISION = "0a" * 32, "0b" * 20
LICENCE = {
    "name": "none stated",
    "spdx": None,
    "url": "https://example.org/terms",
    "research": "yes",
    "commercial": "unclear",
    "redistribute": "no",
    "inherits": "Nothing",
}
GOOD = {
    "datasets": {
        "by-hand": {
            "title": "Hands",
            "path": "resources/datasets/Hands/part_A",
            "by_hand": "Fetch hands.zip from\n  https://example.org and unpack it.\n",
            "licence": LICENCE,
        },
        "packed": {
            "title": "Packed",
            "path": "resources/datasets/Packed_V1",
            "url": "https://example.org/packed.zip",
            "download": "Packed_V1.zip",
            "licence": LICENCE,
        },
        "single": {
            "title": "Single",
            "path": "resources/downloads/single.mat",
            "url": "http://example.org/single.mat",
            "download": "single.mat",
            "bytes": 1234,
            "licence": LICENCE | {"url": None},
        },
    },
    "checkpoints": {
        "sasnet-a": {
            "title": "SASNet",
            "download": "A.pth",
            "by_hand": "Fetch A.pth",
            "bytes": 12,
            "sha256": HASH,
            "network": "sasnet",
            "licence": LICENCE,
        },
        "resnet": {
            "title": "ResNet",
            "download": "r.pth",
            "url": "https://example.org/r.pth",
            "network": "rescsrnet",
            "backbone": True,
            "licence": LICENCE,
        },
    },
    "models": {
        "diffusion": {
            "title": "Diffusion",
            "hub": "someone/model",
            "revision": REVISION,
            "files": ["*.json", "unet/*.safetensors"],
            "licence": LICENCE,
        }
    },
    "networks": {
        "sasnet": {
            "title": "SASNet",
            "source": {"repository": "github.com/a/b", "commit": "3e2b78a6"},
            "licence": LICENCE,
        }
    },
}


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A file with good entries, in the current folder."""
    monkeypatch.chdir(tmp_path)
    Path("sources.yaml").write_text(yaml.safe_dump(GOOD))
    return tmp_path / "sources.yaml"


def problems(path, change):
    """Return the problems of the good entries after a change, without the file's name."""
    content = json.loads(json.dumps(GOOD))  # a copy in which each licence is one of its own
    change(content)
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(InputError) as error:
        sources.load(path)
    lines = str(error.value).splitlines()
    assert all(line.startswith("sources.yaml: ") for line in lines)
    return [line.removeprefix("sources.yaml: ") for line in lines]


# --- The repository's own ---


def test_the_repositorys_own_are_in_order():
    content = sources.load()
    assert {"shta", "shtb", "qnrf", "panda", "nyu"} <= set(content["datasets"])
    for kind in ("datasets", "checkpoints", "models"):
        for name in content[kind]:
            assert content[kind][name]["licence"]["name"] in sources.how_to_get(kind, name)


def test_what_the_papers_config_takes_from_resources_is_known():
    config = (ROOT / "config" / "paper.yaml").read_text()
    content = sources.load()
    known = {f"{sources.CHECKPOINTS}/{name}.safetensors" for name in content["checkpoints"]}
    known |= {f"{sources.HUB}/{name}" for name in content["models"]}
    known |= {entry["path"] for entry in content["datasets"].values()}
    used = {word.strip("{},") for word in config.split() if word.startswith("resources/")}
    assert used and not used - known


def test_loading_is_quick_and_needs_no_torch():
    """Snakemake does it at every start."""
    script = "import sys; from promptmix.config import sources; sources.load(); print('torch' in sys.modules, 'requests' in sys.modules)"
    environment = os.environ | {"PYTHONPATH": str(ROOT / "scripts")}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


# --- What is known of them ---


def test_downloads_are_what_has_an_address(path):
    found = sources.downloads(path)
    assert list(found) == ["Packed_V1.zip", "single.mat", "r.pth"]
    assert found["single.mat"]["bytes"] == 1234


def test_archives_are_what_is_fetched_and_unpacked(path):
    assert sources.archives(path) == {"Packed_V1": "Packed_V1.zip"}


LICENSED = "Licence: none stated (research yes, commercial unclear, redistribute no, https://example.org/terms)."


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        (
            "datasets",
            "by-hand",
            "Hands: fetch it by hand. Fetch hands.zip from https://example.org and unpack it. "
            f"It has to lie here: resources/datasets/Hands/part_A. {LICENSED}",
        ),
        (
            "datasets",
            "packed",
            "Packed: `snakemake resources/datasets/Packed_V1 --cores 1` fetches it from https://example.org/packed.zip; "
            "by hand, put that here: resources/downloads/Packed_V1.zip, and the workflow makes "
            f"resources/datasets/Packed_V1 of it. {LICENSED}",
        ),
        (
            "datasets",
            "single",
            "Single: `snakemake resources/downloads/single.mat --cores 1` fetches it from http://example.org/single.mat "
            "(1234 bytes); by hand, put that here: resources/downloads/single.mat. "
            "Licence: none stated (research yes, commercial unclear, redistribute no).",
        ),
        (
            "checkpoints",
            "sasnet-a",
            f"SASNet: fetch it by hand. Fetch A.pth. It has to lie here: resources/downloads/A.pth (12 bytes, SHA-256 {HASH}), "
            f"and the workflow makes resources/checkpoints/sasnet-a.safetensors of it. {LICENSED}",
        ),
        (
            "models",
            "diffusion",
            "Diffusion: `snakemake resources/hub/diffusion --cores 1` fetches it from https://huggingface.co/someone/model, "
            f"revision {REVISION}; by hand, put these files of it into resources/hub/diffusion: '*.json' "
            f"'unet/*.safetensors'. {LICENSED}",
        ),
    ],
)
def test_a_person_is_told_what_to_fetch_from_where_to_where_and_under_which_licence(path, kind, name, message):
    assert sources.how_to_get(kind, name, path) == message


@pytest.mark.parametrize(
    ("kind", "name", "source"),
    [
        ("checkpoints", "resnet", "https://example.org/r.pth"),
        ("datasets", "by-hand", "Fetch hands.zip from https://example.org and unpack it."),
        ("models", "diffusion", f"someone/model {REVISION}"),
    ],
)
def test_a_file_made_from_an_entry_can_say_where_it_comes_from(path, kind, name, source):
    title = GOOD[kind][name]["title"]
    licence = "none stated, https://example.org/terms"
    assert sources.provenance(kind, name, path) == {"title": title, "source": source, "licence": licence}


# --- What may be wrong with the file ---


def put(*keys, value):
    """Return a change that sets what stands at some keys, or takes it away if the value is None."""

    def change(content):
        *outer, last = keys
        for key in outer:
            content = content[key]
        if value is None:
            del content[last]
        else:
            content[last] = value

    return change


WAYS = "expected exactly one of url and by_hand, found"
CASES = {
    "a section is missing": (
        put("models", value=None),
        ["models is missing: models of the Hub, by name: each is fetched to resources/hub/{name}"],
    ),
    "a key is unknown": (
        put("datasets", "packed", "sha265", value=HASH),
        [
            "datasets.packed.sha265 is not a key. Known keys: by_hand, bytes, download, licence, note, path, sha256, title, url. Did you mean 'sha256'?"
        ],
    ),
    "a key is missing": (
        put("checkpoints", "resnet", "network", value=None),
        ["checkpoints.resnet.network is missing: whose weights these are"],
    ),
    "two keys are missing": (
        lambda content: [content["checkpoints"]["resnet"].pop(key) for key in ("title", "network")],
        [
            "checkpoints.resnet.title is missing: what it is called",
            "checkpoints.resnet.network is missing: whose weights these are",
        ],
    ),
    "a section is a text": (put("models", value="none"), ["models: 'none' (text) is not a section of models by name"]),
    "a number is in quotes": (
        put("datasets", "single", "bytes", value="1234"),
        ["datasets.single.bytes: '1234' (text) is not a whole number above 0. Take away the quotes"],
    ),
    "a part of the licence is missing": (
        put("networks", "sasnet", "licence", "inherits", value=None),
        ["networks.sasnet.licence.inherits is missing: what generated images, maps or trained networks inherit"],
    ),
    "a name": (
        put("models", "Diffusion_1", value=GOOD["models"]["diffusion"]),
        ["models.Diffusion_1: 'Diffusion_1' is not a name of small letters, digits and hyphens"],
    ),
    "an address": (
        put("datasets", "packed", "url", value="ftp://example.org/x.zip"),
        ["datasets.packed.url: 'ftp://example.org/x.zip' is not an address that begins with http:// or https://"],
    ),
    "a hash": (
        put("checkpoints", "sasnet-a", "sha256", value="0a0a"),
        ["checkpoints.sasnet-a.sha256: '0a0a' is not 64 hexadecimal digits, in quotes"],
    ),
    "a revision": (
        put("models", "diffusion", "revision", value="main"),
        ["models.diffusion.revision: 'main' is not 40 hexadecimal digits"],
    ),
    "a size": (
        put("datasets", "single", "bytes", value="3 GB"),
        ["datasets.single.bytes: '3 GB' (text) is not a whole number above 0"],
    ),
    "yes without quotes": (
        put("datasets", "single", "licence", "research", value=True),
        [
            'datasets.single.licence.research: true is not "yes" or "no", in quotes, or unclear. Known: no, unclear, yes.'
        ],
    ),
    "a download in a folder": (
        put("checkpoints", "resnet", "download", value="../r.pth"),
        ["checkpoints.resnet.download: '../r.pth' is not a file's name, without a folder"],
    ),
    "a path that leads elsewhere": (
        put("datasets", "by-hand", "path", value="resources/datasets/../../x"),
        ["datasets.by-hand.path: 'resources/datasets/../../x' is not a path without .."],
    ),
    "no way to get it": (put("datasets", "by-hand", "by_hand", value=None), [f"datasets.by-hand: {WAYS} none"]),
    "two ways to get it": (
        put("checkpoints", "resnet", "by_hand", value="Fetch it"),
        [f"checkpoints.resnet: {WAYS} url and by_hand"],
    ),
    "no way to get a model": (
        put("models", "diffusion", "hub", value=None),
        ["models.diffusion: expected exactly one of hub and by_hand, found none"],
    ),
    "a model of no revision": (
        put("models", "diffusion", "revision", value=None),
        ["models.diffusion.revision is missing: an entry with hub needs it"],
    ),
    "an address without the name of the file": (
        put("datasets", "packed", "download", value=None),
        ["datasets.packed.download is missing: an entry with url needs it"],
    ),
    "two files of one name": (
        put("checkpoints", "resnet", "download", value="single.mat"),
        ["checkpoints.resnet.download: 'single.mat' is also that of datasets.single; name the file otherwise"],
    ),
    "an archive of a dataset by hand": (
        put("datasets", "by-hand", "download", value="hands.zip"),
        ["datasets.by-hand.download: a dataset that is fetched by hand lies at its path; take it away"],
    ),
    "an archive that no rule unpacks": (
        put("datasets", "packed", "path", value="data/Packed"),
        [
            "datasets.packed.path: 'data/Packed' is neither the download in resources/downloads/ nor a folder in resources/datasets/"
        ],
    ),
    "a network": (
        put("checkpoints", "sasnet-a", "network", value="sasnett"),
        [
            "checkpoints.sasnet-a.network: 'sasnett' is not a network. Known: adabins, clipcap, csrnet, dmcount, gfpgan, "
            "guidedepth, parsenet, rescsrnet, retinaface, sasnet. Did you mean 'sasnet'?"
        ],
    ),
    "a backbone": (
        put("checkpoints", "resnet", "network", value="sasnet"),
        [
            "checkpoints.resnet.network: 'sasnet' is not a network with a backbone. Known: csrnet, rescsrnet, guidedepth. Did you mean 'rescsrnet'?"
        ],
    ),
}


@pytest.mark.parametrize(("change", "expected"), CASES.values(), ids=CASES)
def test_what_is_wrong_is_said_with_its_place_and_what_was_expected(path, change, expected):
    assert problems(path, change) == expected


def test_all_problems_are_said_at_once(path):
    def change(content):
        put("networks", "sasnet", "title", value=None)(content)
        put("checkpoints", "resnet", "url", value="here")(content)

    first, second = problems(path, change)
    assert first.startswith("checkpoints.resnet.url: 'here' is not") and second.startswith(
        "networks.sasnet.title is missing"
    )


def test_what_is_not_yaml(path):
    path.write_text("datasets: {")
    with pytest.raises(InputError, match="^sources.yaml is not YAML: (.|\n)*line"):
        sources.load(path)


def test_what_is_not_a_section(path):
    path.write_text("- datasets")
    with pytest.raises(InputError, match=r'^sources.yaml: the top level: \["datasets"\] \(list\) is not a section'):
        sources.load(path)


def test_a_file_that_is_missing(path):
    with pytest.raises(InputError, match="^other.yaml: cannot be read .*Check the path"):
        sources.load(path.with_name("other.yaml"))
