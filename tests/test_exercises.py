"""Every exercise: its stub is no answer, its solution and all right forms pass, each wrong answer is refused in its own
words, and neither hints nor notebooks give the solution away."""

import ast
import re

import nbformat
import pytest
import torch

from mnist_helpers.exercises import catalogue
from mnist_helpers.exercises.exercise import KINDS
from mnist_helpers.exercises.scales import Choices
from scripts.notebooks import NOTEBOOKS, PROJECT, asked_in, numbered

EXERCISES = {one.id: one for one in catalogue.exercises()}
GUESSES = {one.id: one for one in catalogue.all_guesses()}
BOOKS = {path.stem[:2]: nbformat.read(path, as_version=4) for path in numbered()}
SMALL = 12  # nodes of a syntax tree below which a statement is everybody's: `loss.backward()`, `return total`


def stub(*arguments, **named): ...


def nothing(*arguments, **named):
    pass


def blank_line(*arguments, **named):
    total = ...  # the student's line
    return total


@pytest.fixture(params=EXERCISES.values(), ids=EXERCISES)
def exercise(request):
    return request.param


@pytest.fixture(autouse=True)
def same_everywhere(one_thread):
    """Whatever trains here does so with one thread."""


def statements(code):
    """The simple statements of some code that are more than everybody's, as text that is the same for the same
    syntax."""
    tree = ast.parse(re.sub(r"^(\s*)[%!].*$", r"\1pass", code, flags=re.MULTILINE))
    simple = (ast.Assign, ast.AugAssign, ast.Expr, ast.Return)
    found = {node for node in ast.walk(tree) if isinstance(node, simple)}
    found = {node for node in found if not isinstance(node.value, ast.Constant)}  # docstrings, numbers, blanks
    return {ast.dump(node.value) for node in found if node.value and sum(1 for _ in ast.walk(node)) >= SMALL}


def test_it_is_complete(exercise):
    assert re.fullmatch(r"\d\d-[a-z0-9-]+", exercise.id)
    assert exercise.kind in KINDS
    assert exercise.notebook == next(path.stem for path in numbered() if path.stem.startswith(exercise.id[:2]))
    assert 1 <= exercise.points <= 10
    assert 1 <= exercise.minutes <= 60
    assert exercise.expects
    assert len(exercise.wrong) >= 3
    assert len(exercise.right) >= 2


def test_no_answer(exercise):
    for answer in (None, ..., " ", stub, blank_line):
        right, message = exercise.judge(answer)
        assert right is None
        assert message == "Not answered yet."


def test_the_solution_is_right(exercise):
    own = exercise.own if exercise.variable is None else exercise.own_answer()
    assert exercise.judge(own)[0] is True, exercise.judge(own)


def test_other_forms_are_right(exercise):
    for answer in exercise.right:
        assert exercise.judge(answer)[0] is True, (answer, exercise.judge(answer))


def test_wrong_answers_are_refused_in_their_own_words(exercise):
    messages = set()
    for misconception, answer, words in exercise.wrong:
        right, message = exercise.judge(answer)
        assert right is False, misconception
        assert len(words) >= 4, misconception
        assert words in message, (misconception, message)
        assert "the check met" not in message, (misconception, message)
        messages.add(words)
    assert len(messages) >= 3  # not one sentence for all


def test_strange_answers_are_refused_and_never_raise(exercise):
    class Hostile:
        def __getattr__(self, name):
            raise RuntimeError("no " + name)

        def __eq__(self, other):
            raise RuntimeError("not to be compared")

        __hash__ = None

        def __repr__(self):
            raise RuntimeError("not to be shown")

    class Liar(str):
        @property
        def __class__(self):
            raise RuntimeError("what I am is not told")

        def strip(self, *characters):
            raise RuntimeError("nothing is taken off")

    strange = [Hostile(), Liar("5"), object, object(), True, {}, [], [[1], [2, 3]], "nonsense", float("nan"), 10**400]
    strange += [torch.tensor([]), torch.zeros(2, 3, 5), lambda: None, {"a": Hostile()}, len, nothing, EXERCISES, 1j]
    for answer in strange:
        right, message = exercise.judge(answer)
        assert right is not True
        assert len(message) > 10


def test_hints_differ_and_do_not_hold_the_solution(exercise):
    assert len(set(exercise.hints)) == 3
    lines = [line.strip() for line in exercise.source.splitlines() if len(line.strip()) > 12]
    for hint in exercise.hints:
        assert hint.strip().endswith((".", "?", "`", ")", "!"))
        assert not [line for line in lines if line in hint.replace("`", "")]


def test_the_notebook_does_not_hold_the_solution(exercise):
    book = BOOKS[exercise.id[:2]]
    shown = set().union(*(statements(cell.source) for cell in book.cells if cell.cell_type == "code"))
    assert not statements(exercise.source) & shown


def test_the_notebook_asks_for_it(exercise):
    assert exercise.id in asked_in(BOOKS[exercise.id[:2]])


@pytest.mark.parametrize("guess", GUESSES.values(), ids=GUESSES)
def test_a_guess_is_spoken_to(guess):
    assert re.fullmatch(r"\d\d-[a-z0-9-]+", guess.id)
    assert guess.question.endswith("?")
    assert guess.id in asked_in(BOOKS[guess.id[:2]])
    if isinstance(guess.scale, Choices):
        ideas = list(guess.scale.ideas.values())
        assert 2 <= len(ideas) <= 6
        assert set(guess.span) <= set(guess.scale.ideas)
        assert len(guess.span) < len(ideas)  # not everything can come out
    else:
        bounds, ideas = zip(*guess.scale.bands, strict=True)
        assert list(bounds) == sorted(set(bounds))
        assert bounds[-1] == guess.scale.high
        assert len(ideas) >= 3
        low, high = (bound / guess.scale.factor for bound in guess.span)
        assert guess.scale.low <= low < high
        assert low > guess.scale.low or high < guess.scale.high  # not everything can come out
    assert len(set(ideas)) == len(ideas)
    assert all(idea.endswith((".", "?", "!", ")")) for idea in ideas)


def test_ids_are_unique():
    all_of_them = [one.id for one in catalogue.exercises()] + [one.id for one in catalogue.all_guesses()]
    assert len(set(all_of_them)) == len(all_of_them)


@pytest.mark.parametrize("number", BOOKS)
def test_a_notebook_asks_only_for_what_there_is(number):
    for id in asked_in(BOOKS[number]):
        assert id in EXERCISES or id in GUESSES


@pytest.mark.parametrize("number", BOOKS)
def test_a_notebook_ends_in_one_open_task(number):
    asked = [EXERCISES[id] for id in asked_in(BOOKS[number]) if id in EXERCISES]
    assert [one.kind for one in asked].count("open") == (0 if number == PROJECT else 1)
    assert asked[-1].kind == ("milestone" if number == PROJECT else "open")
    kinds = [KINDS.index(one.kind) for one in asked]
    assert kinds == sorted(kinds)


def test_there_are_many():
    assert len(EXERCISES) + len(GUESSES) >= 90
    assert sum(len(one.wrong) for one in EXERCISES.values()) >= 270


def test_notebooks_stand_where_they_are_looked_for():
    assert {path.parent for path in numbered()} == {NOTEBOOKS}
