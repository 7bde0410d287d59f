"""The pad of a page: what becomes of strokes, in Node, and how it is read, against pipeline.explore.reading."""

import base64
import zlib

import numpy as np
import pytest

import helpers
from pipeline import published, readers, storage
from pipeline.explore import reading
from pipeline.images import Classes
from pipeline.model import Model
from pipeline.reports import drawing
from tests.reports.test_network import decoded, encoded, node

SEVEN = [[[0.3, 0.2], [0.7, 0.2], [0.45, 0.8]]]


def image_of(strokes):
    found = node("return text(draw.imageOf(given.strokes));", strokes=strokes)
    return np.frombuffer(base64.b64decode(found), np.uint8).reshape(28, 28)


def test_a_drawing_is_brought_into_the_form_of_mnists_digits():
    image = image_of(SEVEN)
    rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
    assert max(np.ptp(rows), np.ptp(columns)) + 1 in (20, 21, 22)  # grey edges may touch one more on each side
    mass = image / image.sum()
    centre = [np.sum(mass.sum(axis=1 - axis) * np.arange(28)) for axis in (0, 1)]
    assert np.allclose(centre, 14, atol=0.25)
    assert image.max() == 255


@pytest.mark.parametrize(("size", "right", "down"), [(0.2, 0, 0), (0.2, 0.8, 0.8), (1.2, -0.1, -0.1)])
def test_size_and_place_of_a_drawing_do_not_matter(size, right, down):
    moved = [[[right + size * x, down + size * y] for x, y in stroke] for stroke in SEVEN]
    assert np.abs(image_of(moved).astype(int) - image_of(SEVEN)).max() <= 1


def test_nothing_drawn_is_an_empty_image_and_a_dot_stays_a_dot():
    assert not image_of([]).any()
    dot = image_of([[[0.9, 0.1]]])
    assert 4 <= np.count_nonzero(dot) <= 16
    assert dot[14, 14] == 255


def test_ink_is_kept_inside():
    lopsided = [[[0.1, 0.1], [0.9, 0.1]]] + [[[0.9, 0.1 + k / 1000], [0.9, 0.9]] for k in range(5)]
    spans = [np.ptp(np.flatnonzero(image_of(lopsided).any(axis=axis))) + 1 for axis in (0, 1)]
    assert spans in ([20, 20], [20, 21], [21, 20], [21, 21])  # by where the grey edges fall


def test_a_page_reads_as_python_does(sample):
    rng = np.random.RandomState(3)
    model = Model(*helpers.initial_weights(rng, 12), 300.0)
    image = sample["x_test"][0]
    script = """
    const weights = { first: numbers(given.first), second: numbers(given.second) };
    const found = draw.read(bytes(given.image), { normalisation: 300, weights });
    return { ...found, scores: text(found.scores), hidden: text(found.hidden), parts: text(found.parts) };
    """
    found = node(script, first=encoded(model.weights_0_1), second=encoded(model.weights_1_2), image=encoded(image))
    expected = reading.read(model, image)
    assert found["answer"] == expected.answer
    assert found["second"] == np.argsort(expected.scores)[-2]
    assert np.array_equal(decoded(found["scores"]), helpers.predict(image[None], *model.weights, 300.0)[0])
    assert np.allclose(decoded(found["hidden"]), expected.activations, atol=1e-12)
    assert np.allclose(decoded(found["parts"]), expected.contributions[:, expected.answer], atol=1e-12)


def weights_of(network):
    numbers = np.frombuffer(zlib.decompress(base64.b64decode(network.weights)), "<f4").astype(float)
    first, second = np.split(numbers, [784 * network.hidden_size])
    return first.reshape(784, -1), second.reshape(-1, 10)


def test_the_stored_networks_have_the_accuracy_that_is_stated(sample):
    published_one, good = drawing.networks(Model(np.zeros((784, 401)), np.zeros((401, 10)), 255.0), 0.5, False)
    for network, stated in ((published_one, 0.7942), (good, 0.9612)):
        _, accuracy = helpers.evaluate(sample["x_test"], sample["y_test"], *weights_of(network), network.normalisation)
        assert accuracy == network.accuracy == stated


def test_the_published_network_is_what_the_default_training_gives(sample):
    rng, input_rng = helpers.generators(1)
    weights = helpers.initial_weights(rng, 40)
    for _ in range(100):
        helpers.train_epoch(sample["x_train"][:1000], sample["y_train"][:1000], *weights, rng, input_rng)
    assert storage.sha256_of(*weights) == published.WEIGHTS_SHA256
    stored = readers.read_arrays(drawing.NETWORKS, drawing.ADVICE)
    for mine, name in zip(weights, ("published_0_1", "published_1_2"), strict=True):
        assert np.array_equal(stored[name], mine.astype(np.float32))


def test_a_page_has_the_runs_network_first_and_the_published_one_once():
    model = Model(np.full((784, 2), 0.5), np.ones((2, 10)), 255.0)
    own, *others = drawing.networks(model, 0.25, published=False)
    assert (own.name, own.accuracy, own.hidden_size) == ("This run's network", 0.25, 2)
    assert np.array_equal(weights_of(own)[0], model.weights_0_1)
    assert [other.name for other in others] == ["The published network", "The all-of-MNIST network"]
    names = [network.name for network in drawing.networks(model, 0.25, published=True)]
    assert names == ["This run's (published) network", "The all-of-MNIST network"]


def test_a_network_with_classes_of_its_own_stands_alone_and_is_judged_by_all_its_outputs():
    model = Model(np.ones((784, 1)), np.arange(10.0)[np.newaxis], 255.0, Classes(("cat", "dog", "owl")))
    (own,) = drawing.networks(model, 0.25, published=False)
    assert (own.own, own.classes) == (True, ("cat", "dog", "owl"))
    script = """
    const weights = { first: numbers(given.first), second: numbers(given.second) };
    return draw.read(bytes(given.image), { normalisation: 255, weights });
    """
    image = np.full(784, 9, np.uint8)
    first, second = map(encoded, model.weights)
    found = node(script, first=first, second=second, image=encoded(image))
    assert (found["answer"], found["second"]) == (9, 8)  # "unused", as its accuracy counts them
    assert found["answer"] == reading.read(model, image).answer
    large = Model(np.ones((784, 401)), np.ones((401, 10)), 255.0, model.classes)
    assert [network.classes[-1] for network in drawing.networks(large, 0.25, published=False)] == ["9", "9"]
