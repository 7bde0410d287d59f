"""Give a page the networks that read what is drawn in it: the run's, the published one, and one of all of MNIST.

The last two read digits, so they are not beside a network that reads something else.
"""

from typing import NamedTuple

import numpy as np

from pipeline.images import DIGITS
from pipeline.model import Model
from pipeline.readers import read_arrays
from pipeline.reports import pages
from pipeline.storage import NOTEBOOKS, place_of

NETWORKS = NOTEBOOKS / "data" / "networks.npz"
ADVICE = f"Restore it: git checkout {place_of(NETWORKS)}"
MAX_HIDDEN_SIZE = 400  # at most, which is some 1.6 MB in the page


class Network(NamedTuple):
    """Hold a network as draw.js reads it: `weights` are both matrices in single precision, compressed, as base64."""

    name: str
    accuracy: float | None
    hidden_size: int
    normalisation: float
    weights: str
    classes: tuple[str, ...] = DIGITS
    own: bool = False  # whether it is the run's


def networks(model: Model, accuracy: float | None, published: bool) -> list[Network]:
    """Return the networks that a page offers, the run's first, if it is small enough.

    accuracy: the model's on the test images, None where it is not known.
    published: whether the model is the published one, which is then not there twice.
    """
    found = []
    if model.hidden_size <= MAX_HIDDEN_SIZE:
        name = "This run's (published) network" if published else "This run's network"
        found.append(_packed(name, accuracy, model)._replace(own=True))
    if found and model.classes != DIGITS:
        return found
    arrays = read_arrays(NETWORKS, ADVICE)
    for key, name in (("published", "The published network"), ("all_of_mnist", "The all-of-MNIST network")):
        if not (published and key == "published"):
            stored = Model(arrays[f"{key}_0_1"], arrays[f"{key}_1_2"], float(arrays[f"{key}_normalisation"]))
            found.append(_packed(name, float(arrays[f"{key}_accuracy"]), stored))
    return found


def _packed(name: str, accuracy: float | None, model: Model) -> Network:
    with np.errstate(over="ignore"):  # infinite in single precision
        numbers = b"".join(array.astype("<f4").tobytes() for array in model.weights)
    return Network(name, accuracy, model.hidden_size, model.normalisation, pages.packed(numbers), model.classes)
