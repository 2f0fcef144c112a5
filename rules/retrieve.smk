"""
Fetch what others have published, and look at what is there before weeks of computing begin.

Where a file comes from, its size, SHA-256 and licence stand in config/sources.yaml. What a person must fetch (Google
Drive, Kaggle, PANDA) has no rule that could overwrite it: the job that needs it says what to put where.

    takes   addresses of files and of models on the Hub; files put into resources/downloads by hand
    gives   resources/downloads/{file}                     as published
            resources/datasets/{archive}/                  an unpacked archive
            resources/hub/{model}/                         a model in diffusers' or transformers' format
            resources/checkpoints/{checkpoint}.safetensors a published checkpoint, converted once
            nothing, for preflight: a table of what is there and what is missing, and the exit code
"""

from functools import cache

from promptmix.config import sources
from promptmix.running import hub
from promptmix.running.contents import contents, is_known

try:
    SOURCES = sources.load()
except InputError as error:
    raise WorkflowError(str(error))

# Files by their address, and archives by the folder of resources/datasets that they become.
FETCHED = sources.downloads()
ARCHIVES = sources.archives()
RETRIEVED = {
    *(f"resources/downloads/{file}" for file in FETCHED),
    *(f"resources/datasets/{archive}" for archive in ARCHIVES),
    *(f"resources/hub/{model}" for model in SOURCES["models"]),
    *(f"resources/checkpoints/{checkpoint}.safetensors" for checkpoint in SOURCES["checkpoints"]),
}


def is_made(
    path,
):
    """Return whether a rule makes this path (and not the user)."""
    return path.startswith(f"{RESULTS}/") or path.rstrip("/") in RETRIEVED


def placed(
    path,
):
    """Return where a path of the config is: under the `prefix` of a module, if a rule makes it."""
    return PATHS.replace_prefix(path) if is_made(path) else path


def supplied(
    path,
):
    """Return a file or folder as a list of inputs: empty if the user should supply it and it is not there.

    So a dry run shows the whole plan and names what is missing, and the job that needs it fails. If `resources/sasnet.pth` was
    there when annotations were made with it and is deleted now, it stays an input, and Snakemake keeps the annotations.
    Its time does not count (`ancient`), as a fresh clone is newer than results from elsewhere: rules have `contents_of`
    such paths as a param. A model's name on the Hub stands for the snapshot in the Hub's cache that it is at.
    """
    if is_made(path):
        return [path]
    path = located(path)
    if not os.path.exists(path):
        if not is_known(path):
            if path:  # a network may start from no weights
                warn(
                    f"{path} is missing, looked for as {os.path.abspath(path)}. The jobs that read it will fail. This says "
                    f"what to put there: `{command('preflight')}`"
                )
            return []
        warn(f"{path} is not there any more. What was made of it is kept as it is, whatever the config says of it now")
    # Snakemake would take these for wildcards; the job reads the config's path.
    if any(sign in path for sign in "{}<>"):
        return []
    return [ancient(local(path))]


@cache
def located(
    path,
):
    """Return where the user's file or folder is: the path itself, or a snapshot in the Hub's cache."""
    return path if os.path.exists(path) else str(hub.find_snapshot(path) or path)


@cache
def warn(
    text,
):
    """Say something once, and not again for each job."""
    if workflow.is_main_process:
        logger.warning(text)


def contents_of(
    *paths,
):
    """Return a name for the contents of what the user supplies; what rules make, Snakemake follows by itself."""
    return contents(*(located(path) for path in paths if path and not is_made(path)))


def models_of(
    generator,
):
    """Return the paths of the models that a generator reads, by what the job calls them."""
    single = plan.pipeline_of(generator)
    found = {"model": expand(rules.convert_pipeline.output, pipeline=single)[0] if single else generator["model"]}
    if "refiner" in generator:
        found["refiner"] = generator["refiner"]["model"]
    return found | {f"lora_{i}": lora["model"] for i, lora in enumerate(generator.get("lora", []))}


def models_to_read(
    generator,
):
    """Return the models that a generator reads as inputs of a job."""
    return {name: supplied(path) for name, path in models_of(generator).items()}


def bytes_of_models(
    generator,
):
    """Return the bytes of the files of a generator's models; 0 where they are not there yet."""
    return sum(count_bytes(located(path)) for path in models_of(generator).values())


def settings_of_generator(
    generator,
):
    """Return what the config says of a generator, as far as images depend on it."""
    found = {key: value for key, value in in_order(generator).items() if key not in ("offload", "base")}
    return found | ({"lora": [in_order(lora) for lora in found["lora"]]} if "lora" in found else {})


def source(
    kind,
    key,
    default=None,
):
    """Return a param: what the ledger says of the file, model or checkpoint that a job is for."""
    entries = FETCHED if kind == "file" else SOURCES[f"{kind}s"]
    return lambda wildcards: entries[getattr(wildcards, kind)].get(key, default)


def download_of(
    name,
):
    """Return the file as which the checkpoint of that name is published."""
    return f"resources/downloads/{SOURCES['checkpoints'][name]['download']}"


rule preflight:
    """Check that everything is there that the tables and figures of the config need, before anything is computed."""
    log:
        "<logs>/preflight.log",
    conda:
        "../envs/promptmix.yaml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=growing(8000),
        runtime=60,
    message:
        "Looking at datasets, checkpoints, GPU and disk"
    script:
        "../scripts/preflight.py"


rule fetch_file:
    """Fetch {wildcards.file} as its authors published it; an interrupted download goes on where it was."""
    output:
        "resources/downloads/{file}",
    log:
        "<logs>/fetch_file/{file}.log",
    wildcard_constraints:
        file=one_of(FETCHED),
    localrule: True
    conda:
        "../envs/promptmix.yaml"
    params:
        url=source("file", "url"),
        bytes=source("file", "bytes"),
        sha256=source("file", "sha256"),
    message:
        "Fetching {wildcards.file}"
    script:
        "../scripts/fetch_file.py"


rule fetch_model:
    """Fetch {wildcards.model} from the Hub, at a pinned revision."""
    output:
        directory("resources/hub/{model}"),
    log:
        "<logs>/fetch_model/{model}.log",
    wildcard_constraints:
        model=one_of(SOURCES["models"]),
    localrule: True
    conda:
        "../envs/promptmix.yaml"
    params:
        repository=source("model", "hub"),
        revision=source("model", "revision"),
        files=source("model", "files"),
    message:
        "Fetching {wildcards.model}"
    script:
        "../scripts/fetch_model.py"


rule unpack_archive:
    """Unpack a dataset, without writing outside its folder."""
    input:
        lambda wildcards: f"resources/downloads/{ARCHIVES[wildcards.archive]}",
    output:
        directory("resources/datasets/{archive}"),
    log:
        "<logs>/unpack_archive/{archive}.log",
    wildcard_constraints:
        archive=one_of(ARCHIVES),
    localrule: True
    conda:
        "../envs/promptmix.yaml"
    message:
        "Unpacking {wildcards.archive}"
    script:
        "../scripts/unpack_archive.py"


rule import_checkpoint:
    """Convert {wildcards.checkpoint} from the form in which its authors published it to safetensors, strictly."""
    input:
        source=lambda wildcards: supplied(download_of(wildcards.checkpoint)),
    output:
        "resources/checkpoints/{checkpoint}.safetensors",
    log:
        "<logs>/import_checkpoint/{checkpoint}.log",
    wildcard_constraints:
        checkpoint=one_of(SOURCES["checkpoints"]),
    conda:
        "../envs/promptmix.yaml"
    resources:
        mem_mb=growing(6000),
        runtime=30,
    params:
        network=source("checkpoint", "network"),
        backbone=source("checkpoint", "backbone", False),
        bytes=source("checkpoint", "bytes"),
        sha256=source("checkpoint", "sha256"),
        metadata=lambda wildcards: in_order(sources.provenance("checkpoints", wildcards.checkpoint)),
        how_to_get=lambda wildcards: sources.how_to_get("checkpoints", wildcards.checkpoint),
        contents=lambda wildcards: contents_of(download_of(wildcards.checkpoint)),
        code=lambda wildcards: fingerprint(
            "import_checkpoint", f"promptmix.networks.{SOURCES['checkpoints'][wildcards.checkpoint]['network']}"
        ),
    message:
        "Importing {wildcards.checkpoint}"
    script:
        "../scripts/import_checkpoint.py"
