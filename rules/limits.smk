"""
What limits PromptMix's gain: rendered images in the place of generated ones, and how far annotators are off. For datasets
that are rendered, of which there can be more, with true labels.

    takes   datasets/{dataset}/index.csv, fake/{experiment}.csv, an annotator's weights, a latent diffusion model
    gives   fake/{experiment}.csv, .json         D_fake of an experiment with `rendered`, as `mix_dataset` gives it for others
            fake/{experiment}/                   its images and maps
            bias/{experiment}.md, .csv           what the annotator of an experiment finds in true and in generated images
"""


def members_of_fake(
    wildcards,
):
    """Return the annotators whose mean labels D_fake; none for true labels."""
    fake = experiment_of(wildcards).fake
    return [] if fake.rendered == "truth" else list(plan.members_of(fake.annotator))


def data_to_label(
    wildcards,
):
    """Return the dataset of an experiment and, as "weights_0" and so on, the weights of what labels its D_fake."""
    names = members_of_fake(wildcards)
    weights = {f"weights_{i}": weights_of_annotator(name) for i, name in enumerate(names)}
    return prepared(experiment_of(wildcards).dataset) | weights


def dataset_of_fake(
    wildcards,
):
    """Return what more images of an experiment's dataset are read and prepared by."""
    entry = config["datasets"][experiment_of(wildcards).dataset]
    return in_order({key: entry[key] for key in ("format", "images", "resize")})


def code_of_rendered(
    wildcards,
):
    """Return a fingerprint of the script that renders D_fake, of the format that it is read in, and of what labels it."""
    annotators = dict.fromkeys(plan.annotators[name].code for name in members_of_fake(wildcards))
    format = config["datasets"][experiment_of(wildcards).dataset]["format"]
    return fingerprint("miniature/render_fake", datasets.reader_of(format), *annotators)


def contents_of_labels(
    wildcards,
):
    """Return a name for the contents of the annotators' files that the user supplies."""
    return contents_of(*(file for name in members_of_fake(wildcards) for file in files_of(plan.annotators[name])))


rule render_fake:
    """Render images like those of a dataset in the place of the generated ones of {wildcards.experiment}, and label them."""
    input:
        unpack(data_to_label),
    output:
        fake="<results>/fake/{experiment}.csv",
        compared="<results>/fake/{experiment}.json",
        images=directory("<results>/fake/{experiment}"),
    log:
        "<logs>/render_fake/{experiment}.log",
    benchmark:
        "<benchmarks>/render_fake/{experiment}.tsv"
    wildcard_constraints:
        experiment=one_of(RENDERED),
    priority: FIRST
    conda:
        "../envs/promptmix.yaml"
    threads: GPU_THREADS
    resources:
        gpu=1,
        mem_mb=growing(4000),
        runtime=60,
    params:
        render=lambda wildcards: in_order(config["render"][experiment_of(wildcards).dataset]),
        dataset=dataset_of_fake,
        name=lambda wildcards: os.path.basename(config["datasets"][experiment_of(wildcards).dataset]["path"]),
        number=lambda wildcards: experiment_of(wildcards).fake.kept,
        members=lambda wildcards: [settings_of_annotator(name) for name in members_of_fake(wildcards)],
        labels=lambda wildcards: "truth" if not members_of_fake(wildcards) else experiment_of(wildcards).fake.annotator,
        task=lambda wildcards: experiment_of(wildcards).task,
        sigma=lambda wildcards: experiment_of(wildcards).training["sigma"],
        kernel=lambda wildcards: experiment_of(wildcards).training["kernel"],
        seed=config["seed"],
        contents=contents_of_labels,
        code=code_of_rendered,
    message:
        "Rendering images for {wildcards.experiment}"
    script:
        "../scripts/miniature/render_fake.py"


def materials_of_bias(
    wildcards,
):
    """Return what an annotator is measured on and with: the dataset, D_fake, its weights, and the diffusion model."""
    fake = expand(rules.mix_dataset.output.fake, **wildcards)
    return data_to_label(wildcards) | {"fake": fake} | models_to_read(generator_of_fake(wildcards))


def generator_of_fake(
    wildcards,
):
    """Return the diffusion model behind an experiment's images, with its settings."""
    return plan.generators[plan.diffusion_of(fake_of(wildcards).generator)]


def names_of_bias(
    wildcards,
):
    """Return the name of an experiment's annotator and the title of its dataset."""
    experiment = experiment_of(wildcards)
    return [experiment.fake.annotator, plan.title_of(experiment.dataset)]


def code_of_bias(
    wildcards,
):
    """Return a fingerprint of the script that measures annotators and of the networks or functions that are measured."""
    return fingerprint(
        "miniature/measure_bias", *dict.fromkeys(plan.annotators[name].code for name in members_of_fake(wildcards))
    )


rule measure_bias:
    """Measure how far the annotator of {wildcards.experiment} is off, on true images and on generated ones."""
    input:
        unpack(materials_of_bias),
    output:
        markdown="<results>/bias/{experiment}.md",
        csv="<results>/bias/{experiment}.csv",
    log:
        "<logs>/measure_bias/{experiment}.log",
    benchmark:
        "<benchmarks>/measure_bias/{experiment}.tsv"
    wildcard_constraints:
        experiment=one_of(
            name
            for name, experiment in plan.experiments.items()
            if experiment.fake and not experiment.fake.rendered and experiment.dataset in config["render"]
        ),
    conda:
        "../envs/promptmix.yaml"
    threads: GPU_THREADS
    resources:
        gpu=1,
        mem_mb=growing(8000),
        runtime=60,
        offload=lambda wildcards: generator_of_fake(wildcards).get("offload", "none"),
    params:
        members=lambda wildcards: [settings_of_annotator(name) for name in members_of_fake(wildcards)],
        generator=lambda wildcards: settings_of_generator(generator_of_fake(wildcards)),
        render=lambda wildcards: in_order(config["render"][experiment_of(wildcards).dataset]),
        resize=lambda wildcards: in_order(config["datasets"][experiment_of(wildcards).dataset]["resize"]),
        words=in_order(config["prompts"]),
        captions=60,
        names=names_of_bias,
        seed=config["seed"],
        contents=lambda wildcards: [
            contents_of_labels(wildcards),
            contents_of(*models_of(generator_of_fake(wildcards)).values()),
        ],
        code=code_of_bias,
    message:
        "Measuring the annotator of {wildcards.experiment}"
    script:
        "../scripts/miniature/measure_bias.py"
