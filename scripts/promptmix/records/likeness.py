"""What tells how alike images are, and how alike an image is to its prompt."""

from promptmix.records.record import Record

HASHES = Record(
    "the perceptual hashes of generated images",
    {
        "stem": (str, "of the generated image's file"),
        "phash": (str, "64 bits as 16 hexadecimal digits; see `promptmix.synthesis.hashing`"),
    },
)
"""Hashes of a block of generated images."""

TEST_HASHES = Record(
    "the perceptual hashes of test images",
    {
        "image": (str, "name of the real image within its dataset"),
        "phash": (str, "64 bits as 16 hexadecimal digits; see `promptmix.synthesis.hashing`"),
        "mirrored": (str, "the same of the mirrored image"),
    },
)
"""Hashes of a dataset's test images, for the leak guard alone."""

CLIP_SCORES = Record(
    "the CLIP scores of generated images",
    {
        "stem": (str, "of the generated image's file"),
        "clip_score": (float, "cosine of CLIP's features of the image and of its prompt, from -1 to 1"),
    },
)
"""CLIP scores of a block of generated images."""

LEAKS = Record(
    "the generated images that are like test images",
    {
        "pool": (str, "name of the pool of prompts"),
        "seed": (int, "of the noise that the generated image was made from"),
        "image": (str, "name of the test image within its dataset"),
        "distance": (
            int,
            "bits in which their perceptual hashes differ, 0 to 64; that of the mirrored test image if nearer",
        ),
        "similarity": (float, "cosine of CLIP's features of both, from -1 to 1; empty without a model"),
    },
)
"""Generated images of an experiment that are like test images; see `promptmix.synthesis.leaks`."""
