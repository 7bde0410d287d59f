"""Draw the pictures of learn and choose.

The functions show the steps of a weight down its loss, one pass through the network,
what training has changed, and the accuracy after each epoch.
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import CenteredNorm
from matplotlib.figure import Figure

import helpers
from pipeline.reports import plots


def show_descent(
    pixel: float, target: float, paths: Mapping[str, Sequence[float]]
) -> None:
    """Show the loss as a function of one weight, and the steps of the weight.

    paths: the values that the weight takes one after the other, by the title of a plot.
    """
    figure, axes = plt.subplots(1, len(paths), figsize=(9, 3), sharex=True, sharey=True)
    every = np.concatenate(list(paths.values()))
    curve = np.linspace(every.min() - 0.2, every.max() + 0.2, 200)
    ends = []
    for axis, (title, path) in zip(axes, paths.items(), strict=True):
        for weights, style in ((curve, "-"), (np.array(path), "o-")):
            axis.plot(weights, (weights * pixel - target) ** 2 / 2, style)
        axis.set(title=title, xlabel="weight")
        ends.append(f"{title} ends at {path[-1]:.3f}")
    axes[0].set_ylabel("loss")
    plots.show(figure, f"Steps of a weight down its loss: {'; '.join(ends)}.")


def show_changes(before: tuple[np.ndarray, ...], after: tuple[np.ndarray, ...]) -> None:
    """Show how the weights of the first ten hidden units have changed."""
    changes = (after[0] - before[0])[:, :10]
    captions = [f"unit {unit}" for unit in range(10)]
    alt = "Training has added red and blue strokes to the weights of each unit."
    plots.show(plots.draw_units(changes, captions), alt)


def show_curves(curves: Mapping[str, np.ndarray]) -> None:
    """Show the accuracy on training and on validation images after each epoch.

    curves: (epochs, 2), both accuracies, by the title of a plot.
    """
    figure, axes = plt.subplots(1, len(curves), figsize=(9, 3), sharey=True)
    ends = []
    for axis, (title, curve) in zip(axes, curves.items(), strict=True):
        training, validation = axis.plot(range(1, len(curve) + 1), curve)
        validation.set_linestyle("--")
        axis.set(title=title, xlabel="epoch", ylim=(0.6, 1.01))
        known, unseen = curve[-1]
        ends.append(f"{title}: training {known:.3f}, validation {unseen:.3f}")
    axes[0].set_ylabel("accuracy (fraction)")
    axes[-1].legend([training, validation], ["training", "validation"], frameon=False)
    plots.show(figure, f"Accuracy at the end; {'; '.join(ends)}.")


def draw_pass(
    inputs: np.ndarray, target: np.ndarray, weights: tuple[np.ndarray, np.ndarray]
) -> tuple[Figure, str]:
    """Draw the forward pass of one image, and below it the backward pass.

    inputs: (1, 784), the scaled pixels of the image.
    target: (1, 10), the one-hot label of the image.
    weights: the two weight matrices of the network.

    The gradients are those of the hidden unit with the largest error signal.

    Return the figure and its text alternative.
    """
    hidden, scores = helpers.forward(inputs, weights)
    signal = scores - target
    hidden_signal = signal @ weights[1].T * helpers.relu_derivative(hidden, 0)
    unit = np.abs(hidden_signal[0]).argmax()
    gradients = inputs[0] * hidden_signal[0, unit]
    figure, axes = plt.subplots(2, 3, figsize=(9, 4.8), layout="constrained")
    forward, back = axes
    forward[0].imshow(inputs.reshape(28, 28), cmap="gray_r")
    forward[0].set_title("Forward: 784 pixels")
    back[0].imshow(gradients.reshape(28, 28), cmap="RdBu_r", norm=CenteredNorm())
    back[0].set_title("Back: gradients of one unit")
    for axis, values, place, quantity in (
        (forward[1], hidden[0], "hidden unit", "activation"),
        (forward[2], scores[0], "class", "score"),
        (back[1], hidden_signal[0], "hidden unit", "error signal"),
        (back[2], signal[0], "class", "error signal"),
    ):
        axis.bar(range(len(values)), values)
        axis.set(xlabel=place, ylabel=quantity)
        axis.locator_params(axis="x", integer=True)
    for axis in axes[:, 0]:
        axis.axis("off")
    alt = (
        f"Forward: an image, {np.sum(hidden > 0)} active units, ten scores. Back: "
        f"error signals for active units alone; the gradients of unit {unit} look like "
        "the image."
    )
    return figure, alt
