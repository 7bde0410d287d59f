"""Give a page the networks that read what is drawn in it: the run's, the published one, and one of all of MNIST.

The last two read digits, so they are not beside a network that reads something else.
"""

from typing import NamedTuple

import numpy as np

from pipeline.images import DIGITS
from pipeline.readers import read_arrays
from pipeline.reports import pages
from pipeline.run_folder import Model
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
    if model.classes != DIGITS and model.hidden_size <= MAX_HIDDEN_SIZE:
        return [_packed("This run's network", accuracy, model)._replace(own=True)]
    arrays = read_arrays(NETWORKS, ADVICE)
    found = [
        _packed(f"The {name} network", float(arrays[f"{key}_accuracy"]), _stored(arrays, key))
        for key, name in {"published": "published", "all_of_mnist": "all-of-MNIST"}.items()
        if not (published and key == "published")
    ]
    own = "This run's (published) network" if published else "This run's network"
    return [_packed(own, accuracy, model)._replace(own=True), *found] if model.hidden_size <= MAX_HIDDEN_SIZE else found


def _stored(arrays: dict[str, np.ndarray], key: str) -> Model:
    return Model(arrays[f"{key}_0_1"], arrays[f"{key}_1_2"], float(arrays[f"{key}_normalisation"]))


def _packed(name: str, accuracy: float | None, model: Model) -> Network:
    with np.errstate(over="ignore"):  # infinite in single precision
        numbers = b"".join(array.astype("<f4").tobytes() for array in model.weights)
    return Network(name, accuracy, model.hidden_size, model.normalisation, pages.packed(numbers), model.classes)
