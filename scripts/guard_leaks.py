"""List the generated images of an experiment that are like test images."""

from promptmix.running import job

with job.start(snakemake):
    from pathlib import Path

    import numpy as np
    import pandas as pd

    from promptmix.records.likeness import HASHES, LEAKS, TEST_HASHES
    from promptmix.synthesis.leaks import find_leaks
    from promptmix.synthesis.likeness import read_features
    from promptmix.synthesis.manifest import read_manifest

    def by_block(files, depth):
        """Return files by pool and block, of which the pool is the folder that many levels up."""
        return {(Path(file).parents[depth].name, Path(file).stem): file for file in files}

    source, guard = snakemake.input, snakemake.params.guard
    manifests, hashes = by_block(source.manifests, 1), by_block(source.hashes, 2)
    frames = {key: read_manifest(file) for key, file in manifests.items()}
    # Blocks may hold more images than the experiment takes, which are the first by seed.
    frames = {key: frame[frame["seed"] < snakemake.params.images[key[0]]] for key, frame in frames.items()}
    images = pd.concat([frames[key].merge(HASHES.read(hashes[key]), "left", "stem") for key in frames])
    tests = TEST_HASHES.read(source.test_hashes[0])
    features = None
    if "model" in guard:
        described = by_block(source.features, 2)
        found = [read_features(described[key], frames[key]["stem"].tolist()) for key in frames]
        features = np.concatenate(found), read_features(source.test_features[0], tests["image"].tolist())
    leaks = find_leaks(images, tests, guard["distance"], guard.get("similarity"), features)
    LEAKS.write(snakemake.output[0], leaks)
