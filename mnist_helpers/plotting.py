"""Every figure of the course. Each function draws data on `ax` (a new figure's by default), prints one sentence that
says what the figure shows, for a reader who cannot see it, and returns the `Axes`."""

import textwrap

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.patches import Rectangle

from .colours import BLUE, DIVERGING, GREEN, GREY, ORANGE

WIDE, SQUARE = (9, 3.2), (4.6, 4)  # inches: two axes side by side, and as many across as up; else as in STYLE
STYLE = {
    "figure.figsize": (7, 3),
    "figure.constrained_layout.use": True,
    # Nothing is painted behind the axes, and a middle grey is legible on white and on black: for light and dark pages.
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    **dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color", "grid.color"), GREY
    ),
    # Were all numbers on the axes dark, or all light, the notebook's backend would ask for a page of the opposite.
    "ytick.labelcolor": "#828282",
    "grid.alpha": 0.4,
    "axes.prop_cycle": plt.cycler(color=(BLUE, ORANGE, GREEN, GREY)),
    "font.size": 11,
    "savefig.dpi": 200,
}
LINE = 74  # characters of a printed line: as many as a page of 1,024 pixels shows beside the file browser


def style_figures():
    """Let all figures of a notebook suit light and dark pages and fine screens: `STYLE`, and twice the usual pixels."""
    plt.rcParams.update(STYLE)
    if "inline" in plt.get_backend():
        from matplotlib_inline.backend_inline import set_matplotlib_formats  # comes with the notebook's kernel

        set_matplotlib_formats("retina")


def plot_digits(images, titles=None, *, columns=10, ax=None):
    """A grid of images `(N, 28, 28)`, `uint8` or float, each under its title if there are any (N of them, in any form
    that `str` accepts)."""
    titles = [""] * len(images) if titles is None else [str(title) for title in _list(titles)]
    ax = _tiles(images.cpu().float().numpy(), titles, columns, ax, cmap="gray", vmin=0)
    shown = ", ".join(titles[:20]) + (", ..." if len(titles) > 20 else "")
    say(f"{plural(len(images), 'digit image')}{': ' + shown if any(titles) else ''}.")
    return ax


def plot_weights(model, *, count=32, columns=8, ax=None):
    """The incoming weights of the first `count` neurons of the first layer, each `(784,)` as a 28×28 picture.

    Raises:
        ValueError: the first layer with weights is not a `Linear` with 784 inputs.
    """
    layer = next((module for module in model.modules() if isinstance(module, torch.nn.Linear)), None)
    if layer is None or layer.in_features != 784:
        raise ValueError("the first linear layer does not read 784 pixels, so its weights are no pictures of 28×28")
    weights = layer.weight.detach().cpu()[:count].view(-1, 28, 28).numpy()
    limit = np.quantile(abs(weights), 0.995)  # a few huge weights would make the others pale
    ax = _tiles(weights, [""] * len(weights), columns, ax, cmap=DIVERGING, vmin=-limit, vmax=limit)
    say(
        f"First-layer weights of {len(weights)} neurons as 28×28 pictures: purple where ink speaks for the neuron, "
        f"orange where it speaks against; mean size {abs(weights).mean():.3f}, largest {abs(weights).max():.2f}."
    )
    return ax


def plot_pixel_values(images, *, ax=None):
    """Histogram (log scale) of the pixel values of `uint8` images, with their mean."""
    ax = ax or _new_axes(*STYLE["figure.figsize"])
    pixels = images.flatten().cpu()
    counts = torch.bincount(pixels.int(), minlength=256).numpy()
    ax.bar(np.arange(256), counts, width=1, color=BLUE)
    ax.set(yscale="log", xlabel="pixel value (0 = paper, 255 = full ink)", ylabel="number of pixels")
    mean = (counts * np.arange(256)).sum() / len(pixels)
    ax.axvline(mean, color=ORANGE, linestyle="--", label=f"mean {mean:.1f}")
    ax.legend()
    say(
        f"Pixel values of {plural(len(images), 'image')}: {counts[0] / len(pixels):.0%} of the pixels are 0, "
        f"{counts[253:].sum() / len(pixels):.0%} are 253 or more, the mean is {mean:.1f}."
    )
    return ax


def plot_history(history, *, axes=None):
    """Loss and accuracy by epoch, train and validation, of a `History`, on two axes, which are returned.

    Raises:
        ValueError: no epoch was finished.
    """
    if not len(history):
        raise ValueError("no epoch was finished, so there is nothing to plot")
    axes = plt.subplots(1, 2, figsize=WIDE, layout="constrained")[1] if axes is None else axes
    epochs = range(1, len(history) + 1)
    for ax, what, unit in ((axes[0], "loss", "cross-entropy (nats)"), (axes[1], "accuracy", "accuracy (%)")):
        factor = 100 if what == "accuracy" else 1
        for part, color, style in (("train", BLUE, "o-"), ("validation", ORANGE, "s--")):
            ax.plot(epochs, [factor * x for x in getattr(history, f"{part}_{what}")], style, color=color, label=part)
        ax.set(xlabel="epoch", ylabel=unit)
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.grid(alpha=0.3)
        ax.legend()
    say(
        f"Over {plural(len(history), 'epoch')} the train loss went from {history.train_loss[0]:.3f} to "
        f"{history.train_loss[-1]:.3f}, the validation loss from {history.validation_loss[0]:.3f} to "
        f"{history.validation_loss[-1]:.3f}; validation accuracy ended at {history.validation_accuracy[-1]:.2%}."
    )
    return axes


def plot_confusion(confusion, *, ax=None):
    """Confusion matrix `int64 (10, 10)`, rows true, columns predicted. The colour shows the mistakes alone, which the
    right answers on the diagonal would outshine."""
    ax = ax or _new_axes(6, 5.4)
    counts = confusion.cpu().numpy()
    mistakes = counts * (1 - np.eye(10, dtype=int))
    worst = max(1, int(mistakes.max()))
    ax.imshow(mistakes, cmap="Blues", vmin=0, vmax=worst)
    for true in range(10):
        for predicted in range(10):
            dark = mistakes[true, predicted] > 0.6 * worst
            weight = "bold" if true == predicted else "normal"
            ax.text(predicted, true, int(counts[true, predicted]), ha="center", va="center", fontsize=9, weight=weight,
                    color="white" if dark else "black")  # fmt: skip
    ax.set(xticks=range(10), yticks=range(10), xlabel="predicted digit", ylabel="true digit")
    true, predicted = divmod(int(mistakes.argmax()), 10)
    worst_of_all = (
        f"; the most frequent mistake is a {true} read as a {predicted}, {plural(worst, 'time')}"
        if mistakes.any()
        else ""
    )
    say(f"Confusion matrix of {counts.sum():,} images, {mistakes.sum():,} off the diagonal{worst_of_all}.")
    return ax


def plot_mistakes(result, split, *, count=20, columns=10, ax=None):
    """The `count` most confident mistakes of an `Evaluation` of `split`: true → predicted digit, and confidence."""
    chosen = result.mistakes[:count]
    if len(chosen) == 0:
        raise ValueError("there are no mistakes to show")
    titles = [
        f"{result.labels[i]}→{result.predictions[i]} {result.probabilities[i].max():.0%}" for i in chosen.tolist()
    ]
    return plot_digits(split.images.cpu()[chosen], titles, columns=columns, ax=ax)


def plot_probabilities(probabilities, *, truth=None, ax=None):
    """The ten `probabilities` `(10,)` as bars: the highest blue, the true digit, if given, with a green outline."""
    ax = ax or _new_axes(5, 2.6)
    values = 100 * probabilities.detach().cpu().numpy()
    best = int(values.argmax())
    bars = ax.bar(range(10), values, color=[BLUE if digit == best else GREY for digit in range(10)])
    if truth is not None:
        bars[truth].set(edgecolor=GREEN, linewidth=3)
    ax.set(xticks=range(10), ylim=(0, 100), xlabel="digit", ylabel="probability (%)")
    second = int(np.argsort(values)[-2])
    sentence = f"The network says {best} with {values[best]:.1f} %, then {second} with {values[second]:.1f} %"
    say(sentence + ("." if truth is None else f"; the label is {truth}."))
    return ax


def plot_prediction(prediction, *, truth=None, axes=None):
    """The image that the network saw, and its ten probabilities, of a `Prediction`; returns the two axes."""
    axes = plt.subplots(1, 2, figsize=(7, 2.6), layout="constrained", width_ratios=(1, 2))[1] if axes is None else axes
    axes[0].imshow(prediction.image.numpy(), cmap="gray", vmin=0, vmax=255)
    axes[0].set(xticks=[], yticks=[], title=f"says {prediction.digit}" + ("" if truth is None else f", label {truth}"))
    plot_probabilities(prediction.probabilities, truth=truth, ax=axes[1])
    return axes


def plot_calibration(calibration, *, ax=None):
    """Reliability diagram of a `Calibration`: accuracy against confidence; the diagonal is honest confidence."""
    ax = ax or _new_axes(*SQUARE)
    filled = calibration.counts.numpy() > 0
    ax.plot([0, 100], [0, 100], color=GREY, linestyle="--", label="honest")
    x, y = (100 * values.numpy()[filled] for values in (calibration.confidence, calibration.accuracy))
    ax.plot(x, y, color=BLUE, marker="o", label="the network")
    crowded = np.diff(x, append=np.inf) < 7  # the next point is where the number would stand
    for left, up, count, above in zip(x, y, calibration.counts.numpy()[filled], crowded, strict=True):
        place = {"xytext": (2, 5), "ha": "right"} if above else {"xytext": (6, -9)}
        ax.annotate(f"{count:,}", (left, up), textcoords="offset points", fontsize=9, **place)
    ax.set(xlabel="confidence (%)", ylabel="accuracy (%)", xlim=(0, 114), ylim=(0, 109))
    ax.legend(loc="upper left")
    top = int(np.flatnonzero(filled)[-1])
    say(
        f"Reliability of {calibration.counts.sum():,} predictions in {filled.sum()} filled bins: in the most confident "
        f"bin ({calibration.counts[top]:,} images) confidence is {calibration.confidence[top]:.1%} and accuracy "
        f"{calibration.accuracy[top]:.1%}; expected calibration error {calibration.error:.2%}."
    )
    return ax


def say(sentence):
    """Print a sentence in lines that a narrow page shows whole."""
    print(textwrap.fill(sentence, LINE))


def plural(count, word):
    """A count with its noun: "1 image", "5,000 images"."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def _list(values):
    return values.tolist() if isinstance(values, (torch.Tensor, np.ndarray)) else list(values)


def _new_axes(width, height):
    return plt.subplots(figsize=(width, height), layout="constrained")[1]


def _tiles(images, titles, columns, ax, **image_options):
    """Draw float images `(N, 28, 28)` as one picture, `columns` a row, with room for the titles above each."""
    if len(images) == 0 or len(titles) != len(images):
        raise ValueError(f"there are {len(images)} images and {len(titles)} titles to show")
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    gap, head = 3, 11 if any(titles) else 3
    canvas = np.full((rows * (28 + head), columns * (28 + gap)), np.nan)
    ax = ax or _new_axes(0.85 * columns + 0.2, 0.85 * rows * (28 + head) / (28 + gap) + 0.1)
    for position, (image, title) in enumerate(zip(images, titles, strict=True)):
        top, left = position // columns * (28 + head) + head, position % columns * (28 + gap)
        canvas[top : top + 28, left : left + 28] = image
        ax.add_patch(Rectangle((left - 0.5, top - 0.5), 28, 28, fill=False, edgecolor=GREY, linewidth=0.7))
        ax.text(left + 14, top - 2, title, ha="center", va="bottom", fontsize=9)
    ax.imshow(canvas, **image_options)
    ax.axis("off")
    return ax
