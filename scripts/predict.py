"""Count people, or estimate depth, in pictures and videos with an exported network. Snakemake is not needed.

uv run python scripts/predict.py results/miniature/exported/shtb-rescsrnet photos/ --out counted
"""

import argparse
import logging
import sys

from promptmix.errors import InputError
from promptmix.exporting.predicting import predict
from promptmix.exporting.session import Exported
from promptmix.files import no_room
from promptmix.running.devices import cores


def positive(text: str) -> int:
    """Return a whole number above 0, for argparse."""
    if (number := int(text)) < 1:
        raise ValueError(text)
    return number


def main() -> int:
    """Return 0, or 1 after an error that the user can correct, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(
        description="Count people, or estimate depth, in pictures and videos with an exported network."
    )
    parser.add_argument("network", help="folder that `snakemake results/{scale}/exported/{experiment}` has made")
    parser.add_argument("input", help="a picture, a folder of pictures, or a video")
    parser.add_argument("--out", default="predicted", help="folder to make: predictions.csv and a picture of each map")
    parser.add_argument("--every", type=positive, default=1, metavar="N", help="of a video, one frame of N")
    given = parser.parse_args()
    logging.basicConfig(format="%(message)s", level=logging.INFO, stream=sys.stderr)
    try:
        predict(Exported.open(given.network, cores()), given.input, given.out, given.every)
    except InputError as error:
        print(f"predict.py: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"predict.py: {given.out} cannot be written ({no_room(error) or error})", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("predict.py: stopped; nothing was written", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
