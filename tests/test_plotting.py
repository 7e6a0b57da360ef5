"""The figures' style and colours, and the sentences that go with them."""

import matplotlib.pyplot as plt
import pytest
import torch
from matplotlib.colors import to_rgb
from matplotlib_inline import backend_inline

import mnist_helpers as mh
from mnist_helpers.plotting import LINE


def contrast(one, other):
    """From 1 to 21, as the Web Content Accessibility Guidelines 2.2 define it."""

    def luminance(colour):
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast():
    assert contrast("black", "white") == pytest.approx(21)
    assert contrast("#767676", "white") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("page", ["white", "#111111"])  # JupyterLab's, light and dark
def test_every_colour_stands_out_from_the_page(page):
    assert len(set(mh.DIGIT_COLOURS)) == 10
    for colour in (mh.BLUE, mh.ORANGE, mh.GREEN, mh.GREY, *mh.DIGIT_COLOURS):
        assert contrast(colour, page) >= 3, colour


@pytest.fixture
def styled(monkeypatch):
    """The formats that were asked for, in a notebook."""
    formats = []
    monkeypatch.setattr(plt, "get_backend", lambda: "module://matplotlib_inline.backend_inline")
    monkeypatch.setattr(backend_inline, "set_matplotlib_formats", lambda *names: formats.extend(names))
    with plt.rc_context():
        mh.style_figures()
        yield formats
    plt.close("all")


def test_figures_suit_light_and_dark_pages_and_fine_screens(styled):
    assert styled == ["retina"]
    ax = mh.plot_digits(torch.zeros(3, 28, 28), range(3))
    figure, curve = plt.subplots()
    for axes in (ax, curve):
        assert axes.get_facecolor()[3] == axes.figure.get_facecolor()[3] == 0
        assert not backend_inline._fetch_figure_metadata(axes.figure)  # it would be shown on a box of one colour
    for page in ("white", "#111111"):
        words = [ax.texts[0], curve.xaxis.label, *curve.get_xticklabels(), *curve.get_yticklabels()]
        assert all(contrast(text.get_color(), page) > 3.8 for text in words)
    figure.canvas.draw()


def test_outside_a_notebook_only_the_style_is_set(monkeypatch):
    monkeypatch.setattr(backend_inline, "set_matplotlib_formats", lambda *names: pytest.fail("there is no notebook"))
    with plt.rc_context():
        mh.style_figures()
        assert plt.rcParams["figure.figsize"] == [7, 3]


def test_sentences_fit_a_narrow_page(capsys):
    mh.plot_digits(torch.zeros(20, 28, 28), [f"true {i}, says {i}" for i in range(20)])
    plt.close("all")
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    assert len(lines) > 3
    assert max(map(len, lines)) <= LINE
    assert " ".join(lines).startswith("20 digit images: true 0, says 0, true 1, says 1")
