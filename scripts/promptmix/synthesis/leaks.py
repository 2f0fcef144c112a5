"""The leak guard: generated images that are like test images.

A diffusion model can have seen a dataset's test images, and give them again. What is trained on these is tested on what it
has learnt by heart. Test images are looked at here for nothing else: what is found is listed, or stops a run, and leaves no
image out.
"""

import numpy as np
import pandas as pd

from promptmix.synthesis.hashing import distances, to_numbers


def find_leaks(
    images: pd.DataFrame,
    tests: pd.DataFrame,
    distance: int,
    similarity: float | None = None,
    features: tuple[np.ndarray, np.ndarray] | None = None,
) -> pd.DataFrame:
    """Return the generated images that are like a test image, by hash or by CLIP's features.

    An image is compared with the test image of the nearest hash, mirrored or not, and, with features, with that of the most
    similar ones too.

    Args:
        images: `pool`, `seed` and `phash` of each generated image.
        tests: `image`, `phash` and `mirrored` of each test image.
        distance: up to how many bits the hashes of two images that are alike differ by.
        similarity: from which cosine on the features of two images are those of images that are alike.
        features: of the generated images, (N, D), and of the test images, (M, D), of length 1; None for none.

    Returns:
        the columns of `promptmix.records.likeness.LEAKS`, in the order of the images; an image can be like two.
    """
    upright, mirrored = to_numbers(tests["phash"]), to_numbers(tests["mirrored"])
    names, rows = tests["image"].tolist(), []
    for i, (pool, seed, text) in enumerate(zip(images["pool"], images["seed"], images["phash"], strict=True)):
        (number,) = to_numbers([text])
        bits = np.minimum(distances(number, upright), distances(number, mirrored))
        nearest, alike = [int(bits.argmin())], None
        if features is not None:
            alike = features[1] @ features[0][i]
            nearest = list(dict.fromkeys([*nearest, int(alike.argmax())]))
        for j in nearest:
            cosine = np.nan if alike is None else float(alike[j])
            if bits[j] <= distance or (similarity is not None and cosine >= similarity):
                row = {"pool": pool, "seed": seed, "image": names[j], "distance": int(bits[j]), "similarity": cosine}
                rows.append(row)
    return pd.DataFrame(rows, columns=["pool", "seed", "image", "distance", "similarity"])
