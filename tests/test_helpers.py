"""Every helper against a formula, and the whole against the original's loop and its published metrics."""

import hashlib
import itertools

import numpy as np
import pytest

import helpers
from tests import original


def test_relu_keeps_positive_values_and_shape():
    assert helpers.relu(np.array([[-2.0, 0.0, 3.5]])).tolist() == [[0.0, 0.0, 3.5]]


def test_relu_derivative_is_1_where_active_and_the_given_value_where_inactive():
    activation = np.array([0.0, 1e-300, 2.0])
    assert helpers.relu_derivative(activation, 0).tolist() == [0, 1, 1]
    assert helpers.relu_derivative(activation, 1).tolist() == [1, 1, 1]


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.8])
def test_dropout_mask_is_zero_or_one_over_the_kept_fraction_with_mean_one(rate):
    mask = helpers.dropout_mask(np.random.RandomState(0), (1000, 200), rate)
    assert mask.shape == (1000, 200)
    assert mask.dtype == np.float64
    assert set(np.unique(mask)) <= {0.0, 1 / (1 - rate)}
    assert np.mean(mask == 0) == pytest.approx(rate, abs=0.005)
    assert mask.mean() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_dropout_mask_of_many_rows_draws_what_single_rows_draw(rate):
    at_once, one_by_one = np.random.RandomState(3), np.random.RandomState(3)
    rows = [helpers.dropout_mask(one_by_one, (1, 40), rate) for _ in range(50)]
    assert np.array_equal(helpers.dropout_mask(at_once, (50, 40), rate), np.concatenate(rows))
    assert at_once.random_sample() == one_by_one.random_sample()


def test_dropout_mask_at_rate_zero_draws_nothing():
    rng = np.random.RandomState(3)
    helpers.dropout_mask(rng, (5, 40), 0)
    assert rng.random_sample() == np.random.RandomState(3).random_sample()


def test_drop_pixels_sets_the_given_fraction_to_0_and_draws_what_single_rows_draw():
    images = np.random.RandomState(0).randint(1, 256, (60, 784)).astype(np.uint8)
    at_once, one_by_one = np.random.RandomState(3), np.random.RandomState(3)
    dropped = helpers.drop_pixels(images, at_once, 0.3)
    assert dropped.dtype == np.uint8
    assert np.mean(dropped == 0) == pytest.approx(0.3, abs=0.01)
    assert np.array_equal(dropped[dropped > 0], images[dropped > 0])
    rows = [helpers.drop_pixels(images[i : i + 1], one_by_one, 0.3) for i in range(60)]
    assert np.array_equal(dropped, np.concatenate(rows))
    assert at_once.random_sample() == one_by_one.random_sample()


def test_dropping_pixels_changes_neither_first_weights_nor_hidden_masks(sample):
    """Their generators are apart, so that trainings with and without it can be compared in pairs."""
    states = []
    for rate in (0, 0.4):
        rng, input_rng = helpers.generators(7)
        weights = helpers.initial_weights(rng, 5)
        arguments = (sample["x_train"][:30], sample["y_train"][:30], *weights, rng, input_rng)
        helpers.train_epoch(*arguments, input_dropout_rate=rate)
        states.append(rng.random_sample())
        assert (input_rng.random_sample() == np.random.RandomState([7, 1]).random_sample()) == (rate == 0)
    assert states[0] == states[1]


def test_dropping_pixels_without_its_generator_is_refused(sample):
    weights = helpers.initial_weights(np.random.RandomState(1), 5)
    with pytest.raises(ValueError, match=r"helpers\.generators"):
        helpers.train_epoch(
            sample["x_train"], sample["y_train"], *weights, np.random.RandomState(1), input_dropout_rate=0.1
        )


def test_initial_weights_are_the_originals_draws():
    weights_0_1, weights_1_2 = helpers.initial_weights(np.random.RandomState(1), 40)
    np.random.seed(1)
    assert np.array_equal(weights_0_1, np.random.uniform(-0.1, 0.1, (784, 40)))
    assert np.array_equal(weights_1_2, np.random.uniform(-0.1, 0.1, (40, 10)))


@pytest.mark.parametrize("normalisation", [255, 256, 1, 0.5])
def test_scale_divides_in_float64(normalisation):
    pixels = np.arange(256, dtype=np.uint8).reshape(1, -1)
    expected = [float(pixel) / float(normalisation) for pixel in range(256)]
    assert helpers.scale(pixels, normalisation).tolist() == [expected]


def test_one_hot_puts_a_one_at_the_label():
    assert np.array_equal(helpers.one_hot(np.array([3, 0], np.uint8)), [[0, 0, 0, 1] + [0] * 6, [1] + [0] * 9])


def small_case(batch, seed, hidden_size=7):
    """Return inputs, targets, weights and a mask, with no hidden unit near its kink and some below it."""
    rng = np.random.RandomState(seed)
    inputs, targets = rng.uniform(0, 1, (batch, 784)), helpers.one_hot(rng.randint(10, size=batch))
    weights_0_1, weights_1_2 = helpers.initial_weights(rng, hidden_size)
    mask = helpers.dropout_mask(rng, (batch, hidden_size), 0.5)
    sums = inputs @ weights_0_1
    assert np.abs(sums).min() > 1e-3
    assert (sums < 0).any()
    return inputs, targets, weights_0_1, weights_1_2, mask


def loss(inputs, targets, weights_0_1, weights_1_2, mask):
    _, scores = helpers.forward(inputs, weights_0_1, weights_1_2, mask)
    return np.sum((scores - targets) ** 2) / 2 / len(inputs)


def largest_gradient_error(relu_grad_inactive, batch, seed):
    """Return the largest difference between backward and central differences, over some weights of both matrices."""
    inputs, targets, *weights, mask = small_case(batch, seed)
    hidden, scores = helpers.forward(inputs, *weights, mask)
    gradients = helpers.backward(inputs, targets, hidden, scores, weights[1], mask, relu_grad_inactive)
    rng, step, worst = np.random.RandomState(0), 1e-6, 0.0
    for matrix, gradient in zip(weights, gradients, strict=True):
        assert gradient.shape == matrix.shape
        for place in rng.choice(matrix.size, 60, replace=False):
            place = np.unravel_index(place, matrix.shape)
            kept = matrix[place]
            matrix[place] = kept + step
            above = loss(inputs, targets, *weights, mask)
            matrix[place] = kept - step
            below = loss(inputs, targets, *weights, mask)
            matrix[place] = kept
            worst = max(worst, abs((above - below) / (2 * step) - gradient[place]))
    return worst


@pytest.mark.parametrize(("batch", "seed"), [(1, 1), (1, 5), (4, 2), (9, 3)])
def test_backward_is_the_true_gradient_only_with_relu_grad_inactive_0(batch, seed):
    assert largest_gradient_error(0, batch, seed) < 1e-8
    assert largest_gradient_error(1, batch, seed) > 1e-3


def test_backward_averages_the_gradients_of_the_batch():
    inputs, targets, *weights, mask = small_case(5, 2)
    together = helpers.backward(
        inputs, targets, *helpers.forward(inputs, *weights, mask), weights[1], mask, relu_grad_inactive=0
    )
    alone = []
    for i in range(5):
        one = slice(i, i + 1)
        hidden, scores = helpers.forward(inputs[one], *weights, mask[one])
        alone.append(helpers.backward(inputs[one], targets[one], hidden, scores, weights[1], mask[one], 0))
    for matrix, gradients in zip(together, zip(*alone, strict=True), strict=True):
        assert matrix == pytest.approx(np.mean(gradients, axis=0), abs=1e-14)


def ours(images, labels, hidden_size, alpha, iterations, seed, inactive, normalisation, rate, input_rate, batch_size=1):
    rng, input_rng = helpers.generators(seed)
    weights = helpers.initial_weights(rng, hidden_size)
    history = [
        helpers.train_epoch(
            images,
            labels,
            *weights,
            rng,
            input_rng,
            normalisation=normalisation,
            learning_rate=alpha,
            dropout_rate=rate,
            input_dropout_rate=input_rate,
            relu_grad_inactive=inactive,
            batch_size=batch_size,
        )
        for _ in range(iterations)
    ]
    return *weights, history


CASES = [
    # hidden_size, alpha, iterations, seed, normalisation, rate, input_rate
    (40, 0.005, 3, 1, 255, 0.5, 0.0),
    (40, 0.005, 3, 2, 255, 0.0, 0.5),
    (40, 0.02, 2, 3, 510, 0.2, 0.1),
    (7, 0.005, 3, 4, 256, 0.5, 0.8),
    (1, 0.05, 3, 5, 255, 0.5, 0.0),
    (130, 0.001, 2, 6, 100, 0.8, 0.3),
]


@pytest.mark.parametrize(("case", "inactive"), list(itertools.product(CASES, [0, 1])))
def test_train_epoch_equals_the_originals_loop(sample, case, inactive):
    hidden_size, alpha, iterations, seed, *inputs = case
    images, labels = sample["x_train"][:300], sample["y_train"][:300]
    expected = original.train(images, labels, hidden_size, alpha, iterations, seed, inactive, *inputs)
    found = ours(images, labels, hidden_size, alpha, iterations, seed, inactive, *inputs)
    for matrix, reference in zip(found[:2], expected[:2], strict=True):
        assert np.abs(matrix - reference).max() < 1e-12
    assert np.array(found[2]) == pytest.approx(np.array(expected[2]), abs=1e-12)


def test_what_is_no_number_stays_none_in_the_compiled_loop():
    image, weights_0_1 = np.full((1, 784), 255, np.uint8), np.zeros((784, 3))
    weights_0_1[0] = np.nan, np.inf, -np.inf
    weights_1_2 = np.ones((3, 10))
    hidden, scores, scaled = np.empty(3), np.zeros(10), np.arange(256) / 255
    helpers.online_forward(image[0], scaled, (weights_0_1, weights_1_2), np.ones(3), hidden, scores)
    expected, scores_expected = helpers.forward(helpers.scale(image, 255), weights_0_1, weights_1_2)
    assert np.array_equal(hidden, expected[0], equal_nan=True)
    assert np.array_equal(scores, scores_expected[0], equal_nan=True)
    assert np.isnan(hidden[0])


@pytest.mark.parametrize(("case", "inactive"), list(itertools.product(CASES, [0, 1])))
def test_online_updates_equal_forward_and_backward(sample, case, inactive):
    hidden_size, alpha, iterations, seed, normalisation, rate, input_rate = case
    images, labels = sample["x_train"][500:800], sample["y_train"][500:800]
    images = helpers.drop_pixels(images, np.random.RandomState(seed), input_rate)
    rng = np.random.RandomState(seed)
    compiled = helpers.initial_weights(rng, hidden_size)
    reference = [matrix.copy() for matrix in compiled]
    for _ in range(iterations):
        masks = helpers.dropout_mask(rng, (len(images), hidden_size), rate)
        hyperparameters = (float(normalisation), alpha, float(inactive))
        found = helpers.online_updates(images, labels, masks, *compiled, *hyperparameters)
        expected = helpers.batch_updates(images, labels, masks, *reference, *hyperparameters, batch_size=1)
        assert found == pytest.approx(expected, rel=1e-12)
        for matrix, expected_matrix in zip(compiled, reference, strict=True):
            assert np.abs(matrix - expected_matrix).max() < 1e-12


def test_train_epoch_updates_the_weights_by_the_mean_over_the_batch(sample):
    images, labels = sample["x_train"][:7], sample["y_train"][:7]
    before = helpers.initial_weights(np.random.RandomState(1), 5)
    after = [matrix.copy() for matrix in before]
    helpers.train_epoch(images, labels, *after, np.random.RandomState(2), dropout_rate=0, batch_size=3)
    expected = [matrix.copy() for matrix in before]
    for batch in ([0, 1, 2], [3, 4, 5], [6]):
        moves = []
        for i in batch:
            moved = [matrix.copy() for matrix in expected]
            helpers.train_epoch(images[i : i + 1], labels[i : i + 1], *moved, np.random.RandomState(2), dropout_rate=0)
            moves.append([new - old for new, old in zip(moved, expected, strict=True)])
        for matrix, updates in zip(expected, zip(*moves, strict=True), strict=True):
            matrix += np.mean(updates, axis=0)
    for matrix, expected_matrix in zip(after, expected, strict=True):
        assert np.abs(matrix - expected_matrix).max() < 1e-14


@pytest.mark.parametrize("batch_size", [1, 4])
def test_train_epoch_with_masks_drawn_in_chunks_gives_the_same_result(sample, monkeypatch, batch_size):
    images, labels = sample["x_train"][:50], sample["y_train"][:50]
    arguments = (images, labels, 12, 0.01, 2, 1, 0, 255, 0.3, 0.2, batch_size)
    whole = ours(*arguments)
    monkeypatch.setattr(helpers, "MASK_VALUES_AT_ONCE", 784 * 8)
    chunked = ours(*arguments)
    assert all(np.array_equal(a, b) for a, b in zip(whole[:2], chunked[:2], strict=True))
    assert whole[2] == chunked[2]


def test_evaluate_equals_the_formula_for_any_number_of_images(sample, monkeypatch):
    images, labels = sample["x_test"][:25], sample["y_test"][:25]
    weights = helpers.initial_weights(np.random.RandomState(1), 9)
    error, correct = 0.0, 0
    for image, label in zip(images, labels, strict=True):
        scores = np.maximum(0, image / 255 @ weights[0]) @ weights[1]
        error += sum((score - (digit == label)) ** 2 for digit, score in enumerate(scores))
        correct += int(np.argmax(scores)) == label
    expected = pytest.approx((error / 25, correct / 25), rel=1e-12)
    monkeypatch.setattr(helpers, "HIDDEN_VALUES_PER_THREAD", 3 * 9)
    for threads in (1, 2, 7):
        monkeypatch.setattr(helpers.config, "NUMBA_NUM_THREADS", threads)
        assert helpers.evaluate(images, labels, *weights) == expected
        assert helpers.evaluate(np.asfortranarray(images), labels, *weights) == expected


@pytest.mark.parametrize(("units", "count"), [(6, 12), (helpers.UNITS_AT_ONCE + 6, 4)])
def test_scores_and_metrics_are_the_bits_of_a_plain_loop_in_the_order_of_the_pixels(sample, units, count):
    """Python's own floats, added one by one, leave nothing to a BLAS, a compiler or a number of threads."""
    images, labels = sample["x_test"][:count].copy(), sample["y_test"][:count]
    images[3, [0, 783]] = 255  # the corners, which MNIST leaves empty
    weights = helpers.initial_weights(np.random.RandomState(1), units)
    (first, second), scores, squared_error = [matrix.tolist() for matrix in weights], [], 0.0
    for image, label in zip(images.tolist(), labels, strict=True):
        hidden = [0.0] * units
        for pixel, row in zip(image, first, strict=True):
            hidden = [total + pixel / 255 * weight for total, weight in zip(hidden, row, strict=True)]
        score = [0.0] * 10
        for value, row in zip(hidden, second, strict=True):
            score = [total + max(0.0, value) * weight for total, weight in zip(score, row, strict=True)]
        scores.append(score)
        for digit in range(10):
            squared_error += (score[digit] - (digit == label)) ** 2
    assert set((images > 0).sum(axis=1) % 2) == {0, 1}  # the compiled loop takes two pixels at a time
    assert helpers.predict(images, *weights).tolist() == scores
    assert helpers.evaluate(images, labels, *weights)[0] == squared_error / count


def digest_of(*weights):
    return hashlib.sha256(b"".join(matrix.astype("<f8").tobytes() for matrix in weights)).hexdigest()


PUBLISHED = [
    # relu_grad_inactive, train error and accuracy, test error and accuracy, SHA-256 of the weights
    (
        1,
        (0.42039163449803, 0.817),
        (0.42936252114571, 0.7942),
        "ebf6a5840e35c96db0737370bf9e523cdf7a0522d11a06e747ebb00c2c9f03d6",
    ),
    (
        0,
        (0.2745660507842, 0.897),
        (0.3350810442969, 0.8500),
        "8a10be0b9519b42cd838678f90b540e65d88d0ec0cbe0ec27421f8f0b35eddb5",
    ),
]


@pytest.mark.parametrize(("inactive", "train", "test", "weights_sha256"), PUBLISHED)
def test_training_reproduces_the_published_metrics_to_the_digit(sample, inactive, train, test, weights_sha256):
    weights_0_1, weights_1_2, history = ours(
        sample["x_train"][:1000], sample["y_train"][:1000], 40, 0.005, 100, 1, inactive, 255, 0.5, 0
    )
    assert history[-1] == (pytest.approx(train[0], abs=1e-12), train[1])
    evaluated = helpers.evaluate(sample["x_test"], sample["y_test"], weights_0_1, weights_1_2)
    assert evaluated == (pytest.approx(test[0], abs=1e-12), test[1])
    assert digest_of(weights_0_1, weights_1_2) == weights_sha256


DROPPED = [
    # input_dropout_rate, test accuracy, SHA-256 of the weights, with relu_grad_inactive 0 and the other defaults
    (0.2, 0.8642, "b78f679bee311b4390bdd4f5b0d811a91d11b698722db7973c7297be0da059d7"),
    (0.5, 0.8678, "e4ca4cc8da0446793638ee10342d4162eb54f9ec5719fa9c9390f3ba4e0c0d71"),
]


@pytest.mark.parametrize(("input_rate", "test_accuracy", "weights_sha256"), DROPPED)
def test_training_with_pixels_dropped_has_one_digest_of_its_weights(sample, input_rate, test_accuracy, weights_sha256):
    images, labels = sample["x_train"][:1000], sample["y_train"][:1000]
    *weights, _ = ours(images, labels, 40, 0.005, 100, 1, 0, 255, 0.5, input_rate)
    assert helpers.evaluate(sample["x_test"], sample["y_test"], *weights)[1] == test_accuracy
    assert digest_of(*weights) == weights_sha256
