"""The machine behind the student's turns: answers in any form, judging, guesses, and progress."""

import json
import os
import time
from contextlib import suppress
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

import mnist_helpers as mh
from mnist_helpers.exercises import answers, catalogue, progress
from mnist_helpers.exercises.answers import NotAnswered, NotYet
from mnist_helpers.exercises.exercise import Exercise
from mnist_helpers.exercises.guess import Asked, Guess
from mnist_helpers.exercises.limit import OutOfTime, within
from mnist_helpers.exercises.scales import Choices, Scale


@pytest.fixture(autouse=True)
def kept(monkeypatch, tmp_path):
    """The file with the progress, a new one for each test."""
    path = tmp_path / "notebooks" / "progress.json"
    path.parent.mkdir()
    monkeypatch.setenv("MNIST_PROGRESS", str(path))
    return path


def double(numbers):
    return 2 * numbers


class Double(Exercise):
    id = "99-double"
    kind, points, minutes, seconds = "turn", 2, 3, 1
    expects = "a function of numbers (N,) that returns numbers (N,)"
    variable = None
    own = staticmethod(double)
    hints = ("Twice.", "Two times.", "What is `2 * 3`?")
    praise = "Twice as much."

    def verify(self, answer):
        found = answers.tensor(answers.call(answer, torch.arange(3.0)), (3,))
        answers.compare(found, [0, 2, 4], [([0, 1, 4], "That is the square.")], "Not the double.")


class Total(Exercise):
    id = "99-total"
    expects = "a number"
    given = {"numbers": [1, 2, 3]}  # noqa: RUF012
    hints = ("Add.", "Add all.", "`sum` adds.")

    @staticmethod
    def own(numbers):
        total = sum(numbers)
        return total

    def verify(self, answer, numbers):
        answers.compare(answers.number(answer), sum(numbers), [(len(numbers), "You have counted.")], "Not the sum.")
        return f"It is {sum(numbers)}."


@pytest.mark.parametrize(
    ("given", "value"),
    [
        (3, 3),
        (2.5, 2.5),
        ("235,146", 235_146),
        ("235 146", 235_146),
        ("235_146", 235_146),
        ("1,234,567.5", 1_234_567.5),
        ("0,98", 0.98),
        ("98 %", 0.98),
        ("\u22123", -3),
        ("1e-3", 0.001),
        ([7], 7),
        (np.float32(0.5), 0.5),
        (np.array([[4]]), 4),
        (torch.tensor(6), 6),
        (torch.tensor([6.0], requires_grad=True), 6),
    ],
)
def test_a_number_in_any_form(given, value):
    assert answers.number(given) == pytest.approx(value)


@pytest.mark.parametrize("given", ["many", "1,2,3 and 4", [1, 2], [], True, len, {}, float("nan"), 1 + 2j, object()])
def test_what_is_no_number_is_said_to_be_none(given):
    with pytest.raises(NotYet, match=r"expected|Your answer is nan"):
        answers.number(given)


def test_whole_numbers_and_shares():
    assert answers.whole("12") == 12
    with pytest.raises(NotYet, match=r"whole number is expected, and yours is 7\.8"):
        answers.whole(7.8)
    assert [answers.share(given) for given in (0.5, 50, "50 %", 1, 100)] == [0.5, 0.5, 0.5, 1, 1]
    with pytest.raises(NotYet, match="A share lies between"):
        answers.share(-0.1)


def test_tensors_in_any_form():
    pair = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    for given in (pair, pair.tolist(), pair.numpy(), list(pair), [[1, 2], (3, 4)], pair.clone().requires_grad_()):
        made = answers.tensor(given, (None, 2))
        assert torch.equal(made, pair.double())
        assert not made.requires_grad
    with pytest.raises(NotYet, match=r"\(N, 3\) is expected, and yours is \(2, 2\)"):
        answers.tensor(pair, (None, 3))
    for given in ("text", None, len, [[1], [2, 3]], [{}]):
        with pytest.raises(NotYet, match="Numbers are expected"):
            answers.tensor(given)


def test_a_choice_in_any_spelling():
    assert answers.choice("  The NINES ", ("the nines", "the ones")) == "the nines"
    with pytest.raises(NotYet, match="'the nines', 'the ones'"):
        answers.choice("the twos", ("the nines", "the ones"))


def test_what_a_function_does_is_put_in_words():
    def prints(numbers):
        print(numbers)

    def changes(numbers):
        numbers += 1

    def appends(numbers):
        numbers.append(3)

    def fails(numbers):
        return numbers[7]

    for function, given, words in (
        (prints, torch.zeros(2), "What it prints does not count"),
        (changes, torch.zeros(2), "changed what it was given"),
        (changes, np.zeros(2), "changed what it was given"),
        (appends, [1, 2], "changed what it was given"),
        (fails, torch.zeros(2), r"IndexError: .*, in the line `return numbers\[7\]`"),
    ):
        with pytest.raises(NotYet, match=words):
            answers.call(function, given)
    with pytest.raises(NotAnswered):
        answers.call(lambda numbers: ..., 3)


def test_blanks_are_seen_with_and_without_the_source():
    def indexes(images):
        return images[..., 0]  # no blank

    assert not answers.is_blank(indexes)
    for line, blank in (("...", True), ("pass", True), ("return 3", False), ("return images", False)):
        names = {}
        exec(f"def function(images):\n    {line}", names)  # its source cannot be had
        assert answers.is_blank(names["function"]) is blank, line
    for blank in (None, ..., "", "  "):
        assert answers.is_blank(blank)
    for answer in (0, [], False, torch.zeros(3), np.zeros(0), {}):
        assert not answers.is_blank(answer)


# Judging


def test_code_that_never_ends_is_stopped():
    ticks = []

    def endless():
        while True:
            ticks.append(len(ticks))

    def stubborn():
        while True:
            with suppress(BaseException):
                ticks.append(len(ticks))

    for function in (endless, stubborn):
        start = time.monotonic()
        with pytest.raises(OutOfTime):
            within(0.2, function)
        assert time.monotonic() - start < 3
    before = len(ticks)
    with pytest.raises(OutOfTime):
        within(0.2, endless)
    seen = len(ticks)
    assert seen > before
    time.sleep(0.2)


def test_what_is_stopped_does_nothing_more():
    ticks = []

    def endless():
        while True:
            ticks.append(0)

    with pytest.raises(OutOfTime):
        within(0.2, endless)
    seen = len(ticks)
    time.sleep(0.3)
    assert len(ticks) == seen


def test_results_and_errors_come_through_the_limit():
    assert within(1, lambda number: number + 1, 3) == 4
    with pytest.raises(ZeroDivisionError):
        within(1, lambda: 1 / 0)


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit, RecursionError, MemoryError])
def test_an_answer_that_ends_the_program_ends_nothing(error):
    def ends(numbers):
        raise error

    right, message = Double().judge(ends)
    assert right is False
    assert error.__name__ in message


def test_judging():
    one = Double()
    assert one.judge(lambda numbers: numbers + numbers) == (True, "Right. Twice as much.")
    assert one.judge(lambda numbers: numbers**2) == (False, "That is the square.")
    assert one.judge(lambda numbers: numbers) == (False, "Not the double.")
    assert one.judge(None) == (None, "Not answered yet.")
    assert Total().judge("6") == (True, "Right. It is 6.")
    assert Total().judge(6, numbers=[6]) == (True, "Right. It is 6.")
    assert Total().judge(1, numbers=[6]) == (False, "You have counted.")

    def endless(numbers):
        while True:
            pass

    assert one.judge(endless)[0] is False
    assert "never end" in one.judge(endless)[1]


def test_judging_leaves_the_random_numbers_alone_and_does_not_depend_on_them():
    class Chance(Double):
        id = ""

        def verify(self, answer):
            seen.append(torch.rand(1).item())

    seen, one = [], Chance()
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    first = torch.rand(1)
    one.judge(3)
    assert torch.equal(torch.cat([first, torch.rand(1)]), expected)
    one.judge(3)
    assert seen[0] == seen[1]


def test_a_check_says_what_is_wrong_and_counts(kept, capsys):
    one = Double()
    one.check(None)
    assert capsys.readouterr().out.splitlines() == ["Not answered yet.", 'Stuck? mh.exercise("99-double").hint()']
    assert not kept.exists()
    one.check(lambda numbers: numbers**2)
    assert capsys.readouterr().out.startswith("Not yet. That is the square.\nStuck?")
    assert progress.own()["attempts"] == {"99-double": 1}
    one.check(double)
    assert capsys.readouterr().out == "Right. Twice as much.\n"
    assert progress.own()["solved"] == {"99-double": True}


def test_a_definition_that_was_not_run_again_is_noticed(capsys):
    one = Double()

    def wrong(numbers):
        return numbers

    one.check(wrong)
    assert "same function" not in capsys.readouterr().out
    one.check(wrong)
    assert "same function as before" in " ".join(capsys.readouterr().out.split())
    own = one.use(None)  # takes the place of the student's
    assert "course's own version takes its place" in capsys.readouterr().out
    one.check(own)
    assert "Run the cell with your definition again" in " ".join(capsys.readouterr().out.split())
    assert progress.own()["attempts"] == {"99-double": 2}
    assert progress.own()["solved"] == {}


def test_use_gives_the_answer_if_it_is_right_and_the_course_s_own_if_not(capsys):
    one = Double()

    def mine(numbers):
        return numbers + numbers

    assert one.use(mine) is mine
    for answer in (None, lambda numbers: numbers):
        own = one.use(answer)
        assert own is not double
        assert own(4) == 8
    assert Total().use(None, numbers=[4, 5]) == 9
    assert Total().use("9", numbers=[4, 5]) == "9"


def test_hints_come_one_by_one_and_the_solution_after_a_try(capsys):
    one = Total()
    for number in (1, 2, 3, 3):
        one.hint()
        assert capsys.readouterr().out == f"Hint {number} of 3: {Total.hints[number - 1]}\n"
    one.solution()
    assert capsys.readouterr().out.startswith("Try once first")
    one.check(3)
    capsys.readouterr()
    one.solution()
    assert capsys.readouterr().out == "total = sum(numbers)\nanswer = total\n"
    assert Double().source == "def double(numbers):\n    return 2 * numbers"


def test_a_milestone_shows_no_solution(capsys):
    class Milestone(Double):
        id, kind = "", "milestone"

    one = Milestone()
    for _ in range(2):
        one.solution()
        said = " ".join(capsys.readouterr().out.split())
        assert said.count(".") <= 2  # a sentence, with the name of a file
        assert "return" not in said
        one.check(3)
        capsys.readouterr()
    assert (Path(mh.__file__).parents[1] / said.split()[-1].rstrip(".")).is_file()


def test_an_unknown_name_is_answered_with_those_there_are():
    with pytest.raises(ValueError, match=r"no exercise '01-nothing'; the notebook has 01-"):
        mh.exercise("01-nothing")
    with pytest.raises(ValueError, match="no guess '01-nothing'"):
        mh.guess("01-nothing")
    for name in ("", "nonsense", None, "77-what"):
        with pytest.raises(ValueError, match="no notebook"):
            mh.exercise(name)


def test_the_folder_does_not_hide_the_function_of_the_same_name():
    import mnist_helpers.exercises

    assert mnist_helpers.exercises() == mh.exercises() == catalogue.exercises()


# Progress


def count_up(path, times):
    os.environ["MNIST_PROGRESS"] = str(path)
    for _ in range(times):
        progress.record(lambda kept: kept["attempts"].update(one=kept["attempts"].get("one", 0) + 1))


def test_two_kernels_at_once_lose_nothing(kept, processes):
    both = [processes.Process(target=count_up, args=(kept, 40)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(60)
        assert process.exitcode == 0
    assert progress.own()["attempts"] == {"one": 80}
    assert {path.name for path in kept.parent.iterdir()} <= {kept.name, f"{kept.name}.lock"}


def test_progress_is_kept_where_it_is_asked_for(kept, monkeypatch, tmp_path):
    monkeypatch.setenv("MNIST_PROGRESS", str(tmp_path))
    assert progress.progress_file() == tmp_path / ".course-progress.json"
    monkeypatch.delenv("MNIST_PROGRESS")
    monkeypatch.chdir(tmp_path)
    assert progress.progress_file() == tmp_path / ".course-progress.json"


@pytest.mark.parametrize("damage", ["{", "[]", '{"solved": 3}', "\x00"])
def test_a_damaged_file_is_put_aside_and_nothing_is_lost(kept, damage, capsys):
    kept.write_text(damage)
    with pytest.raises(ValueError, match="holds no progress"):
        progress.load(kept)
    Double().hint()  # whatever meets it first
    assert "counted anew" in " ".join(capsys.readouterr().out.split())
    assert progress.own()["hints"] == {"99-double": 1}
    assert kept.with_suffix(".damaged.json").read_text() == damage
    kept.write_text("{}}")
    assert mh.progress().rows  # a second one does not take the first one's place
    assert kept.with_suffix(".damaged.json").read_text() == damage
    assert kept.with_suffix(".damaged2.json").read_text() == "{}}"
    kept.write_text(damage)
    assert Asked(SHARE).value is None


def test_a_place_where_nothing_can_be_written_is_said_once(monkeypatch, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way of a folder")
    monkeypatch.setenv("MNIST_PROGRESS", str(tmp_path / "file" / "progress.json"))
    one = Total()
    one.check(3)
    assert "kept only until this kernel stops" in " ".join(capsys.readouterr().out.split())
    one.solution()
    assert "total = sum" in capsys.readouterr().out
    one.check(6)
    assert capsys.readouterr().out == "Right. It is 6.\n"
    assert progress.own()["solved"] == {"99-total": True}


def test_the_table_counts(kept):
    some = mh.exercises()[0]
    asked = catalogue.guesses_of(some.id[:2])[0]
    progress.record(lambda kept: kept["solved"].update({some.id: True, "99-gone": True}))
    progress.record(lambda kept: kept["guesses"].update({asked.id: {"guess": 0.5}}))
    progress.record(lambda kept: kept["hints"].update({some.id: 2}))
    table = mh.progress()
    row = next(row for row in table.rows if row[0] == some.notebook)
    assert row[1].startswith("1 of ")
    assert row[4].startswith(f"{some.points} of ")
    assert row[5] == "2"
    assert table.rows[-1][0] == "all"
    assert table.rows[-1][4].startswith(f"{some.points} of ")
    assert all(cell in repr(table) for cell in row)
    assert f'<th scope="row">{some.notebook}</th><td>{row[1]}</td>' in table._repr_html_()


# Guesses

SHARE = Guess(
    "99-share",
    "What share?",
    Scale(0, 100, unit="%", bands=((30, "Low."), (70, "Middle."), (100, "High."))),
    span=(0.7, 0.9),
)
COUNT = Guess("99-count", "How many?", Scale(0, 60, unit="drawings", bands=((60, "Many."),), typed=True), span=(1, 20))
WHICH = Guess("99-which", "Which?", Choices({"small": "Small is slow.", "large": "Large is rough."}), span=("small",))


def test_without_a_guess_it_says_what_came_out(kept, capsys):
    for guess, outcome, words in (
        (SHARE, torch.tensor(0.808), "It is 80.8\u00a0%."),
        (COUNT, 14, "It is 14\u00a0drawings."),
        (WHICH, "small", "The answer is “small”."),
    ):
        Asked(guess).reveal(outcome)
        assert capsys.readouterr().out == words + "\n"
    assert not kept.exists()


def test_what_is_said_belongs_to_the_guess(capsys):
    for guess, chosen, outcome, words in (
        (SHARE, 45, 0.808, "You said 45\u00a0%; it is 80.8\u00a0%. Middle."),
        (SHARE, 30, 0.808, "You said 30\u00a0%; it is 80.8\u00a0%. Low."),
        (SHARE, 80, 0.8, "You said 80\u00a0%, and so it is. High."),
        (COUNT, 3, 14, "You said 3\u00a0drawings; it is 14\u00a0drawings. Many."),
        (WHICH, "large", "small", "You said “large”; the answer is “small”. Large is rough."),
        (WHICH, "small", "small", "You said “small”, and so it is. Small is slow."),
    ):
        asked = Asked(guess)
        asked.chosen = chosen
        asked.reveal(outcome)
        assert " ".join(capsys.readouterr().out.split(" ")).replace("\n", " ").strip() == words


def test_a_guess_is_kept_with_what_came_out_and_shown_again():
    asked = Asked(SHARE)
    assert asked.value is None
    asked.chosen = 45
    assert progress.own()["guesses"] == {"99-share": {"guess": 0.45}}
    assert asked.said == "Your guess: 45\u00a0%. Run on to see."
    asked.reveal(0.8)
    assert progress.own()["guesses"] == {"99-share": {"guess": 0.45, "outcome": 0.8}}
    again = Asked(SHARE)
    assert again.chosen == 45
    assert again.value == pytest.approx(0.45)


def test_what_the_browser_cannot_have_sent_is_not_kept(kept):
    for guess, chosen in ((SHARE, 300), (SHARE, "many"), (WHICH, "other"), (COUNT, [3])):
        asked = Asked(guess)
        asked.chosen = chosen
        assert not kept.exists()


@pytest.mark.parametrize(("guess", "outcome"), [(SHARE, 0.2), (SHARE, float("nan")), (COUNT, 60), (WHICH, "large")])
def test_an_outcome_that_no_sound_notebook_has_is_an_error(guess, outcome):
    with pytest.raises(AssertionError, match="is not what this notebook should find"):
        Asked(guess).reveal(outcome)


def test_where_nothing_runs_the_question_stands(capsys):
    data, _ = Asked(SHARE)._repr_mimebundle_()
    assert data["text/plain"] == "Your guess: What share? (from 0 to 100 %)"
    assert "What share?" in data["text/html"]
    assert "small · large" in Asked(WHICH)._repr_mimebundle_()[0]["text/plain"]


def test_a_class_s_guesses_are_pooled(tmp_path, monkeypatch, capsys):
    first = catalogue.all_guesses()
    number = next(guess for guess in first if not isinstance(guess.scale, Choices))
    low, high, factor = number.scale.low, number.scale.high, number.scale.factor
    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(plt.gcf()))
    (tmp_path / "class" / "someone").mkdir(parents=True)
    for place, guess in enumerate((low, high, high)):
        kept = {"guesses": {number.id: {"guess": guess * factor, "outcome": number.span[0]}, "99-gone": {"guess": 1}}}
        (tmp_path / "class" / "someone" / f"{place}.json").write_text(json.dumps(kept))
    (tmp_path / "class" / "other.json").write_text("{")
    mh.guesses(tmp_path / "class")
    said = " ".join(capsys.readouterr().out.split(" ")).replace("\n", " ")
    assert f"{number.id}: 3 guesses, the middle one {number.scale.say(high * factor)}" in said
    assert "Passed over, for they hold no progress: other.json." in said
    [figure] = shown
    assert [axes.get_title(loc="left") for axes in figure.axes] == [number.question]
    points = figure.axes[0].lines[0]
    assert sorted(points.get_xdata()) == [low, high, high]
    plt.close(figure)


def test_no_guesses_to_pool(tmp_path):
    for folder in (tmp_path / "missing", tmp_path):
        with pytest.raises(FileNotFoundError, match=r"no folder|no file"):
            mh.guesses(folder)
