"""
How the models in resources/models were trained.

    takes   nothing: the corpus is rendered
    gives   corpus/                              captioned images, in the form of a prepared dataset
            models/                              CLIP, ClipCap, Stable Diffusion, annotators, face restoration

To train them anew: `snakemake models --cores 8`, then point the config at results/miniature/models.
"""


def annotator_to_train(
    wildcards,
):
    """Return the settings of an annotator of the miniature, with those of the images that it is trained on."""
    settings = config["miniature"]["annotators"][wildcards.name]
    dataset = settings["dataset"]
    images = {"render": config["render"][dataset], "resize": config["datasets"][dataset]["resize"]}
    return in_order(settings | images)


def starting_weights(
    wildcards,
):
    """Return the weights that an annotator starts from, if there are some: those of another one, or a file."""
    annotators = config["miniature"]["annotators"]
    start = annotators[wildcards.name].get("start", "")
    return expand(rules.train_annotator.output, name=start) if start in annotators else supplied(start) if start else []


def softening_model(
    wildcards,
):
    """Return the generator through whose autoencoder some of an annotator's images are passed, if there is one."""
    softened = config["miniature"]["annotators"][wildcards.name].get("softened")
    return {"softening": supplied(softened["model"])} if softened else {}


rule render_corpus:
    """Render the captioned images on which the miniature's models are trained."""
    output:
        index="<results>/corpus/index.csv",
        pixels="<results>/corpus/pixels.npy",
        heads="<results>/corpus/heads.npy",
        depths="<results>/corpus/depths.npy",
    log:
        "<logs>/render_corpus.log",
    conda:
        "../envs/promptmix.yaml"
    threads: 4
    resources:
        mem_mb=growing(4000),
        runtime=30,
    params:
        settings=setting("miniature", "corpus"),
        code=fingerprint("miniature/render_corpus"),
    message:
        "Rendering the corpus"
    script:
        "../scripts/miniature/render_corpus.py"


rule train_clip:
    """Train a small CLIP on the corpus: tokeniser, text encoder, image encoder."""
    input:
        corpus=rules.render_corpus.output.index,
    output:
        directory("<results>/models/clip"),
    log:
        "<logs>/train_clip.log",
    conda:
        "../envs/promptmix.yaml"
    threads: GPU_THREADS
    resources:
        gpu=1,
        mem_mb=growing(8000),
        runtime=60,
    params:
        steps=config["miniature"]["clip"]["steps"],
        seed=config["miniature"]["corpus"]["seed"],
        code=fingerprint("miniature/train_clip"),
    message:
        "Training CLIP"
    script:
        "../scripts/miniature/train_clip.py"


rule train_captioner:
    """Train a small ClipCap on the corpus."""
    input:
        corpus=rules.render_corpus.output.index,
        clip=rules.train_clip.output,
    output:
        "<results>/models/clipcap.safetensors",
    log:
        "<logs>/train_captioner.log",
    conda:
        "../envs/promptmix.yaml"
    threads: GPU_THREADS
    resources:
        gpu=1,
        mem_mb=growing(8000),
        runtime=60,
    params:
        steps=config["miniature"]["captioner"]["steps"],
        seed=config["miniature"]["corpus"]["seed"],
        code=fingerprint("miniature/train_captioner"),
    message:
        "Training ClipCap"
    script:
        "../scripts/miniature/train_captioner.py"


rule train_autoencoder:
    """Train the first stage of the latent diffusion model on the corpus."""
    input:
        corpus=rules.render_corpus.output.index,
    output:
        directory("<results>/models/autoencoder"),
    log:
        "<logs>/train_autoencoder.log",
    conda:
        "../envs/promptmix.yaml"
    threads: GPU_THREADS
    resources:
        gpu=1,
        mem_mb=growing(8000),
        runtime=120,
    params:
        steps=config["miniature"]["autoencoder"]["steps"],
        seed=config["miniature"]["corpus"]["seed"],
        code=fingerprint("miniature/train_autoencoder"),
    message:
        "Training the autoencoder"
    script:
        "../scripts/miniature/train_autoencoder.py"


rule train_diffusion:
    """Train the second stage of the latent diffusion model on the corpus, and save a Stable Diffusion pipeline."""
    input:
        corpus=rules.render_corpus.output.index,
        clip=rules.train_clip.output,
        autoencoder=rules.train_autoencoder.output,
    output:
        directory("<results>/models/stable-diffusion"),
    log:
        "<logs>/train_diffusion.log",
    conda:
        "../envs/promptmix.yaml"
    threads: GPU_THREADS
    resources:
        gpu=1,
        mem_mb=growing(8000),
        runtime=360,
    params:
        steps=config["miniature"]["diffusion"]["steps"],
        rooms=config["miniature"]["diffusion"]["rooms"],
        seed=config["miniature"]["corpus"]["seed"],
        code=fingerprint("miniature/train_diffusion"),
    message:
        "Training the diffusion model"
    script:
        "../scripts/miniature/train_diffusion.py"


rule train_annotator:
    """Train a narrowed heavyweight network on images rendered like those of a dataset."""
    input:
        unpack(softening_model),
        start=starting_weights,
    output:
        "<results>/models/{name}.safetensors",
    log:
        "<logs>/train_annotator/{name}.log",
    wildcard_constraints:
        name="|".join(config["miniature"]["annotators"]),
    conda:
        "../envs/promptmix.yaml"
    threads: GPU_THREADS
    resources:
        gpu=1,
        mem_mb=growing(8000),
        runtime=120,
    params:
        settings=annotator_to_train,
        sigma=config["training"]["default"]["sigma"],
        kernel=config["training"]["default"]["kernel"],
        seed=config["miniature"]["corpus"]["seed"],
        code=lambda wildcards: fingerprint(
            "miniature/train_annotator",
            f"promptmix.networks.{config['miniature']['annotators'][wildcards.name]['network']}",
        ),
    message:
        "Training {wildcards.name}"
    script:
        "../scripts/miniature/train_annotator.py"


rule train_faces:
    """Train {wildcards.name}, one of the three networks that restore faces, on rendered faces."""
    output:
        "<results>/models/{name}.safetensors",
    log:
        "<logs>/train_faces/{name}.log",
    wildcard_constraints:
        name="|".join(config["miniature"]["faces"]),
    conda:
        "../envs/promptmix.yaml"
    threads: GPU_THREADS
    resources:
        gpu=1,
        mem_mb=growing(8000),
        runtime=120,
    params:
        settings=setting("miniature", "faces", "{name}", "settings"),
        steps=setting("miniature", "faces", "{name}", "steps"),
        seed=config["miniature"]["corpus"]["seed"],
        code=lambda wildcards: fingerprint("miniature/train_faces", f"promptmix.networks.{wildcards.name}"),
    message:
        "Training {wildcards.name}"
    script:
        "../scripts/miniature/train_faces.py"


rule models:
    """All models of the miniature, trained anew."""
    input:
        rules.train_captioner.output,
        rules.train_diffusion.output,
        expand(rules.train_annotator.output, name=config["miniature"]["annotators"]),
        expand(rules.train_faces.output, name=config["miniature"]["faces"]),
