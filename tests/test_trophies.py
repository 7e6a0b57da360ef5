"""Fool the network: drawings that are no digit, and what the judge makes of them."""

import json
from types import SimpleNamespace

import pytest
import torch
from ipywidgets.widgets.widget import _remove_buffers

import mnist_helpers as mh
from mnist_helpers.data import MNIST
from mnist_helpers.pad.drawings import parse_drawings
from mnist_helpers.pad.trophies import Trophies

SEVEN = [[[0.3, 0.25], [0.7, 0.25], [0.45, 0.8]]]
ONE = [[[0.52, 0.2], [0.48, 0.8]]]
DOT = [[[0.5, 0.5]]]


@pytest.fixture(scope="module")
def small(mnist):
    return MNIST(mnist.train[:1500], mnist.validation[:200], mnist.test[:300], mnist.source)


@pytest.fixture
def pad(small):
    """With a judge that says what it is told."""
    pad = mh.draw({"MLP": mh.load_pretrained()}, small)
    pad.opened = ["fool"]
    verdicts = SimpleNamespace(says="sure")
    pad.judge.verdict = lambda prediction, distance: verdicts.says
    pad.told = verdicts
    return pad


def test_what_gets_past_the_judge_is_a_trophy(pad):
    assert (pad.trophies, pad.wall["won"], pad.wall["refused"]) == ([], 0, 0)
    assert pad.wall["sentence"] == "Draw something that is no digit, and make the network sure that it is one."
    pad.strokes = SEVEN
    pad.fool()
    (trophy,) = pad.trophies
    assert trophy == mh.Drawing(SEVEN, style="read as 7 by MLP")
    assert trophy.label is None
    assert pad.wall["sentence"] == "Fooled! It is read as 7 with more than 99.9\u00a0%, and the judge is sure."
    assert (pad.wall["won"], pad.wall["refused"], pad.wall["captions"]) == (1, 0, ["7"])
    assert pad.wall["images"] == mh.render(trophy, fit=False).numpy().tobytes()
    pad.as_mnist, pad.strokes = False, ONE
    pad.fool()
    assert [trophy.style for trophy in pad.trophies] == ["read as 7 by MLP", "read as 1 by MLP, as drawn"]
    assert len(pad.wall["images"]) == 2 * 784


@pytest.mark.parametrize("verdict", ["unfamiliar", "undecided"])
def test_what_the_judge_refuses_is_counted_and_the_reason_said(pad, verdict):
    pad.strokes, pad.told.says = SEVEN, verdict
    pad.fool()
    assert pad.trophies == []
    assert (pad.wall["won"], pad.wall["refused"], pad.wall["images"]) == (0, 1, b"")
    why = {"unfamiliar": "it is unlike the digits", "undecided": "no digit is likely enough"}[verdict]
    assert pad.wall["sentence"].startswith(f"Refused as {verdict}: {why}")
    assert pad.wall["sentence"].endswith("Without a judge it would be 7 with more than 99.9\u00a0%.")


def test_the_same_strokes_count_once(pad):
    for verdict, won, refused in ("unfamiliar", 0, 1), ("unfamiliar", 0, 1), ("sure", 1, 1), ("sure", 1, 1):
        pad.strokes, pad.told.says = SEVEN, verdict
        pad.fool()
        assert (len(pad.trophies), pad.wall["won"], pad.wall["refused"]) == (won, won, refused)
    assert pad.wall["sentence"] == "This drawing has its trophy already: change something."
    pad.strokes = [[[0.3, 0.25], [0.7, 0.25], [0.45, 0.801]]]
    pad.fool()
    assert len(pad.trophies) == 2


def test_the_pads_own_judge_decides(small):
    """A letter that the network reads as a 4, and a dot that it reads as nothing."""
    pad = mh.draw(mh.load_pretrained(), small)
    letter = next(drawing for drawing in mh.load_drawings() if drawing.style == "letter H")
    for strokes in (letter.strokes, DOT):
        pad.strokes = [torch.as_tensor(stroke).tolist() for stroke in strokes]
        before, is_sure = len(pad.trophies), pad.judge(pad.prediction) == "sure"
        assert (pad.seen["verdict"] != "?") == is_sure
        pad.fool()
        assert len(pad.trophies) == before + is_sure
    assert len(pad.trophies) <= 1  # not the dot


def test_an_empty_pad_fools_nobody(pad):
    for nothing in ([], [[]]):
        pad.strokes = nothing
        with pytest.raises(mh.ImageError, match="Draw something first"):
            pad.fool()
    pad._receive({"fool": True, "strokes": []})
    assert pad.notice == "Draw something first, then say that it is no digit."
    assert (pad.trophies, pad.wall["refused"]) == ([], 0)


def test_the_browser_claims_and_downloads_by_messages(pad, monkeypatch):
    sent = []
    monkeypatch.setattr(pad, "send", sent.append)
    pad._receive({"fool": True, "strokes": SEVEN})
    assert pad.strokes == SEVEN
    for nonsense in ({"fool": True}, {"fool": True, "strokes": "text"}, {"trophies": True}):
        pad._receive(nonsense)
    assert len(pad.trophies) == 1
    assert sent == []
    pad._receive({"trophies": True, "view": 3})
    assert (sent[0]["name"], sent[0]["view"]) == ("my_trophies.json", 3)
    (drawing,) = parse_drawings(sent[0]["file"])
    assert (drawing.label, drawing.style, drawing.strokes[0].tolist()) == (None, "read as 7 by MLP", SEVEN[0])
    pad._receive({"reload": sent[0]["file"]})  # as any file of drawings
    assert [drawing.label for drawing in pad.drawings] == [None]
    assert pad.notice == ""


def test_trophies_are_shown_only_while_they_are_seen(pad, monkeypatch):
    pad.opened = []
    with monkeypatch.context() as patch:
        patch.setattr(Trophies, "shown", lambda _: pytest.fail("what is hidden is not computed"))
        pad.strokes = SEVEN
        pad.fool()
    assert pad.wall["won"] == 0
    pad.opened = ["fool"]
    assert pad.wall["won"] == 1
    rest, *_ = _remove_buffers(pad.get_state())
    assert json.loads(json.dumps(rest["wall"], allow_nan=False))["captions"] == ["7"]


def test_the_list_of_trophies_is_a_copy(pad):
    pad.trophies.append("nothing")
    assert pad.trophies == []
