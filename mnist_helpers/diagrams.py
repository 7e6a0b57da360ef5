"""What happens, as a picture: how the data are split, how a network is trained, how several processes agree. Drawn from
real numbers, with one sentence that tells the same."""

import math

import numpy as np

from .colours import BLUE, GREEN, GREY, ORANGE
from .plotting import plural
from .svg import LARGE, SMALL, WIDTH, Diagram, decimals_for, number, numbers, one_number


def draw_splits(mnist):
    """The three splits as bars in true proportion: how many images, from which file, and what each is for.

    Args:
        mnist: of `load_mnist`, the full data or the offline sample.

    Returns:
        A `Diagram`.
    """
    counts = [len(split) for split in (mnist.train, mnist.validation, mnist.test)]
    total, (train, validation, test) = sum(counts), counts
    files = {"the training file": train + validation, "the test file": test}
    if mnist.source.is_sample:
        files = {"the offline sample, a part of the training file": total}
    origins = " and ".join(f"{count:,} of {name}" for name, count in files.items())
    diagram = Diagram(
        168,
        "The three splits",
        f"{total:,} images, {origins}: {train:,} for training, from which a network learns; {validation:,} for "
        f"validation, to choose by; {test:,} for the test, once, at the end.",
    )
    left, edges, colours = 2.0, [], (BLUE, ORANGE, GREEN)
    for count, colour in zip(counts, colours, strict=True):
        width = (WIDTH - 12) * count / total
        diagram.box(left, 50, width, 44, colour=colour, fill=0.85, line=0, radius=3)
        edges.append((left, left + width))
        left += width + 4
    groups = [(edges[0][0], edges[-1][1])] if len(files) == 1 else [(edges[0][0], edges[1][1]), edges[2]]
    for (start, end), (name, count) in zip(groups, files.items(), strict=True):
        diagram.line((start, 42), (start, 34), (end, 34), (end, 42))
        middle, anchor = ((start + end) / 2, "middle") if end - start > 160 else (end, "end")
        diagram.text(middle, 18, f"{name}: {count:,}", size=SMALL, anchor=anchor)
    # The words stand in columns of their own, wherever the bars are; a line leads to each.
    names, purposes = ("train", "validation", "test"), ("to learn from", "to choose by", "once, at the end")
    for i, x in enumerate((2, 252, 470)):
        bar = 10 if i == 0 else sum(edges[i]) / 2
        diagram.line((bar, 96), (bar, 102 + 5 * i), (x + 8, 102 + 5 * i), (x + 8, 120), colour=colours[i])
        diagram.text(x, 134, f"{names[i]} {counts[i]:,}", size=LARGE, bold=True, colour=colours[i], anchor="start")
        diagram.text(x, 157, purposes[i], anchor="start")
    return diagram


def draw_loop(before, after, *, batch_size=None, gradient=None, learning_rate=None):
    """The training loop as a circle, with what one step of it did to the loss.

    Args:
        before, after: the loss of one batch before and after the step, floats or tensors `()`.
        batch_size: number of images of the batch.
        gradient: the length of the gradient of all parameters.
        learning_rate: what it was multiplied by. All three are shown if they are given.

    Returns:
        A `Diagram`.

    Raises:
        ValueError: a number is not finite.
    """
    before, after = one_number("loss before", before), one_number("loss after", after)
    extras = {"batch size": batch_size, "length of the gradient": gradient, "learning rate": learning_rate}
    known = {name: one_number(name, value) for name, value in extras.items() if value is not None}
    old, new = number(before, 3), number(after, 3)
    images = plural(int(batch_size), "image") if batch_size is not None else ""
    length = f"length {number(known['length of the gradient'], 3)}" if gradient is not None else ""
    rate = f"learning rate {known['learning rate']:g}" if learning_rate is not None else ""
    diagram = Diagram(
        330,
        "The training loop",
        f"The training loop, a circle of five: a batch{' of ' * bool(images)}{images} goes through the network, the "
        f"loss is {old}, backward gives the gradient{' of ' * bool(length)}{length}, and a step"
        f"{' with the ' * bool(rate)}{rate} moves the weights; the loss of this batch is now {new}. Then comes the "
        "next batch.",
    )
    stations = (
        ("batch", "images, labels", images),
        ("network", "model(images)", "ten logits an image"),
        ("loss", "F.cross_entropy(…)", old),
        ("gradient", "loss.backward()", length),
        ("step", "optimizer.step()", rate),
    )
    places = [_station(i) for i in range(5)]
    for i, ((x, y), (name, code, value)) in enumerate(zip(places, stations, strict=True)):
        colour = ORANGE if name == "loss" else GREY
        diagram.box(x - 82, y - 33, 164, 66, colour=colour, radius=10)
        diagram.text(x, y - (18 if value else 9), name, bold=True, colour=colour)
        diagram.text(x, y + (2 if value else 11), code, size=SMALL, code=True)
        if value:
            diagram.text(x, y + 20, value, size=SMALL, colour=colour)
        way = [_station(i + part) for part in np.linspace(0, 1, 60)]
        both = (places[i], places[(i + 1) % 5])
        diagram.arrow(*(point for point in way if all(_beside(point, box) for box in both)))
    x, y = WIDTH / 2, 168
    diagram.text(x, y - 20, "the loss of this batch", size=SMALL)
    colour = GREEN if after < before else ORANGE
    diagram.text(x, y + 6, f"{old} → {new}", size=24, bold=True, colour=colour)
    return diagram


def _station(i):
    """Where the i-th of five stations of the loop is; a fraction is a point on the way to the next."""
    angle = 2 * math.pi * i / 5 - math.pi / 2
    return WIDTH / 2 + 212 * math.cos(angle), 166 + 122 * math.sin(angle)


def _beside(point, station):
    return abs(point[0] - station[0]) > 92 or abs(point[1] - station[1]) > 42


def draw_all_reduce(gradients, *, batch_size=None):
    """Several processes, each with the gradient of its own part of the batch, and the `all_reduce` that gives all of
    them the mean.

    Args:
        gradients: two to four tensors of one shape, a process each. The first numbers of each are shown.
        batch_size: images of the whole batch, of which each process has an equal part.

    Returns:
        A `Diagram`.

    Raises:
        ValueError: there are fewer or more gradients, their shapes differ, or a number is not finite.
    """
    gradients = [numbers("gradients", gradient) for gradient in gradients]
    count = len(gradients)
    if not 2 <= count <= 4 or len({len(gradient) for gradient in gradients}) > 1:
        raise ValueError("two to four gradients of one shape can be drawn, one for each process")
    mean, shown = np.mean(gradients, axis=0), min(3, len(gradients[0]))
    places = min(5, decimals_for([x for gradient in gradients for x in gradient[:shown]]))
    part = "its part of the batch" if batch_size is None else plural(int(batch_size) // count, "image")

    def words(values):
        return ", ".join(number(value, places) for value in values[:shown])

    each = "; ".join(f"process {i}: {words(gradient)}" for i, gradient in enumerate(gradients))
    diagram = Diagram(
        34 + 74 * count,
        "all_reduce gives every process the mean gradient",
        f"{count} processes, each with {part} and the first numbers of its gradient, {each}; after all_reduce and "
        f"division by {count} all of them hold the mean, {words(mean)}.",
    )
    for x, title in ((52, "process"), (218, "its gradient"), (546, "the mean gradient")):
        diagram.text(x, 12, title, size=SMALL)
    for i, gradient in enumerate(gradients):
        y = 66 + 74 * i
        diagram.box(2, y - 26, 100, 52, radius=8)
        diagram.text(52, y - 10, i, bold=True)
        diagram.text(52, y + 10, "its part" if batch_size is None else part, size=SMALL)
        diagram.arrow((104, y), (122, y))
        _row(diagram, 125, y, [number(value, places) for value in gradient[:shown]], len(gradient) > shown)
        diagram.arrow((318, y), (338, y))
        diagram.arrow((433, y), (452, y), colour=BLUE)
        _row(diagram, 455, y, [number(value, places) for value in mean[:shown]], len(mean) > shown, colour=BLUE)
    middle = 66 + 37 * (count - 1)
    diagram.box(341, 36, 90, 74 * count - 14, colour=BLUE, fill=0.1, radius=12, line=2)
    diagram.text(386, middle - 10, "all_reduce", size=SMALL, bold=True, colour=BLUE)
    diagram.text(386, middle + 12, f"sum ÷ {count}", size=SMALL, colour=BLUE)
    return diagram


def _row(diagram, x, y, words, has_more, colour=GREY):
    """The first numbers of a gradient."""
    for position, word in enumerate(words):
        diagram.box(x + 58 * position, y - 16, 58, 32, colour=colour, radius=0, line=1)
        diagram.text(x + 58 * position + 29, y, word, size=SMALL, colour=colour)
    if has_more:
        diagram.text(x + 58 * len(words) + 9, y, "…", colour=colour)
