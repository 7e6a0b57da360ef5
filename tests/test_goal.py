"""What notebook 03 lets one try: a goal with two sliders, and training loops that are broken."""

import inspect
from types import SimpleNamespace

import pytest

import mnist_helpers as mh
from mnist_helpers.exercises import goal
from mnist_helpers.exercises.loops import BROKEN, blame
from mnist_helpers.exercises.n03_training import Loop, sample


@pytest.fixture(scope="module")
def digits():
    return sample()


def test_each_try_is_kept_once_and_the_best_counts(digits, one_thread):
    widget = mh.reach_goal(digits)
    assert widget.best is None
    assert widget.batch_sizes[-1] == 2048  # no larger than the images there are
    poor, good = widget.train(512, 0.008), widget.train(32, 0.004)
    assert poor < widget.goal <= good
    assert widget.train(512, 0.008) == poor
    assert [tried[:3] for tried in widget.tries] == [[32, 0.004, 125], [512, 0.008, 8]]
    assert widget.best == (32, 0.004)
    assert "8 steps" in widget.said
    assert "The goal is 87.0" in widget.said


def test_the_button_asks_and_the_kernel_always_answers(digits, one_thread, monkeypatch):
    widget = mh.reach_goal(digits)
    widget.asked = [64, 0.008, 1]
    assert (widget.answered, len(widget.tries)) == (1, 1)

    def broken(*settings):
        raise FloatingPointError

    monkeypatch.setattr(goal, "one_epoch", broken)
    widget.asked = [64, 0.008, 2]
    assert (widget.answered, len(widget.tries)) == (2, 1)
    assert "NaN" in widget.said


def test_where_nothing_runs_the_tries_are_words(digits):
    widget = mh.reach_goal(digits)
    widget.tries = [[32, 0.004, 125, 0.875]]
    data, _ = widget._repr_mimebundle_()
    assert "learning rate 0.004, 125 steps: 87.5" in " ".join(data["text/plain"].split())
    assert data["text/html"].startswith("<blockquote>")


def test_the_goal_is_lower_on_the_sample():
    full = SimpleNamespace(source=SimpleNamespace(is_sample=False))
    small = SimpleNamespace(source=SimpleNamespace(is_sample=True))
    assert goal.goal_of(small) < goal.goal_of(full)


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_loop_is_broken_and_every_other_line_is_excused(name):
    loop = mh.broken_loops()[name]
    assert Loop().judge(loop)[0] is False
    lines = inspect.getsource(loop).splitlines()
    shown = repr(mh.broken_loops())
    for line in set(range(1, len(lines) + 1)) - {BROKEN[name]}:
        assert lines[line - 1].strip() in blame(name, line)
        assert f"{line:3}  {lines[line - 1]}" in shown
    assert "no line 99" in blame(name, 99)
