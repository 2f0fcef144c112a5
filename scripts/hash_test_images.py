"""Compute the perceptual hash of each test image of a dataset, and of its mirror image, for the leak guard alone."""

from promptmix.running import job

with job.start(snakemake):
    from promptmix.datasets.index import Index
    from promptmix.datasets.split import Split
    from promptmix.records.likeness import TEST_HASHES
    from promptmix.synthesis.hashing import perceptual_hash

    tests = Split(Index.open(snakemake.input.index), "test")
    rows = []
    for i, name in enumerate(tests.frame["image"]):
        image = tests.image(i)
        hashes = {"phash": perceptual_hash(image), "mirrored": perceptual_hash(image[:, ::-1])}
        rows.append({"image": name} | hashes)
    TEST_HASHES.write(snakemake.output[0], rows)
