"""Write the texts of a pool with a language model: variations of captions, or descriptions of a topic."""

from promptmix.running import job

with job.start(snakemake) as device:
    from promptmix.records.captions import CAPTIONS
    from promptmix.records.texts import TEXTS
    from promptmix.synthesis import writers

    settings = job.with_inputs(snakemake, snakemake.params.writer, "model")
    count, topic = settings.pop("count"), settings.pop("topic", None)
    if topic is None:
        captions = CAPTIONS.read(snakemake.input.captions[0])
        subjects, images = captions["caption"].tolist(), captions["image"].tolist()
    else:
        subjects, images = [topic], [""]
    writer = writers.Writer(**settings, about="caption" if topic is None else "topic", device=device)
    found = writer.write(subjects, count)
    pairs = [(image, found[subject][number]) for number in range(count) for image, subject in zip(images, subjects)]
    TEXTS.write(snakemake.output[0], [{"image": image, "text": text} for image, text in pairs])
