"""Ways in which a dataset can be damaged or odd, each with what may come of it.

A mutation is a function of a case: it changes files and, where their meaning changes, the truth. An error or a warning has
to name a file that it changes, or another that it adds to `case.named`.
"""

from fuzz.mutations import boxes, depth, files, heads, matlab, names, pictures, text
from fuzz.mutations.registry import MUTATIONS

__all__ = ["MUTATIONS", "boxes", "depth", "files", "heads", "matlab", "names", "pictures", "text"]
