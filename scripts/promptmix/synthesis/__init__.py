"""From real images to D_fake: captions, prompts, images, annotations, filters (paper, section III)."""
