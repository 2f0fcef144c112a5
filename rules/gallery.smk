"""
Show the generated images of an experiment, to look through them and to review them.

    takes   what rules/mixing.smk takes, and the annotations by those who score images
    gives   gallery/{experiment}.html            a page to open in a browser
            gallery/{experiment}/                its pictures: images, annotators' maps, real images
"""

GALLERY_PAGE = os.path.join(SCRIPTS, "promptmix", "report", "gallery.html")


def blocks_to_show(
    wildcards,
):
    """Return what D_fake is mixed from, and the same blocks' annotations by the others who score images."""
    fake = fake_of(wildcards)
    others = [
        path
        for pool, number in fake.images.items()
        for name in fake.scored_by
        if name != fake.annotator
        for path in expand(
            rules.annotate_images.output,
            pool=pool,
            generator=fake.generator,
            annotator=name,
            block=blocks_of(pool, fake.generator, number),
        )
    ]
    return blocks_to_mix(wildcards) | {"others": others}


def review_of(
    wildcards,
):
    """Return what the config says to leave out of those of an experiment's pools that can be reviewed."""
    nothing = {"drop": [], "edit": [], "exclude": []}
    pools = [pool for pool in fake_of(wildcards).pools if pool in config["pools"]]
    return {pool: in_order(nothing | config["reviewed"].get(pool, {})) for pool in pools}


rule make_gallery:
    """Show the generated images of {wildcards.experiment} on a page, to review them."""
    input:
        unpack(blocks_to_show),
    output:
        page="<results>/gallery/{experiment}.html",
        pictures=directory("<results>/gallery/{experiment}"),
    log:
        "<logs>/make_gallery/{experiment}.log",
    conda:
        "../envs/promptmix.yaml"
    threads: 2
    resources:
        mem_mb=growing(4000),
        runtime=60,
    params:
        settings=settings_of_mix,
        reviewed=review_of,
        title=lambda wildcards: {"scale": config["scale"], "task": experiment_of(wildcards).task},
        contents=contents_of(GALLERY_PAGE),
        code=fingerprint("make_gallery"),
    message:
        "Showing the generated images of {wildcards.experiment}"
    script:
        "../scripts/make_gallery.py"
