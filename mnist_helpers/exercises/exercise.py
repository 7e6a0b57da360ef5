"""An exercise: what it expects, how an answer is judged, hints, the course's own solution, and answers right and wrong
that its tests try. Each notebook's exercises stand in a file of their own beside this one."""

import inspect
import re
import textwrap
import types
from functools import cached_property
from typing import NamedTuple

import torch

from ..plotting import LINE, say
from . import progress
from .answers import KNOWN, NotAnswered, NotYet, is_blank, is_own, worded
from .limit import OutOfTime, within

MARKING = "mnist_helpers/exercises/project_marking.md"
KINDS = ("turn", "exercise", "open", "milestone")


class Wrong(NamedTuple):
    """A wrong answer: the idea behind it, the answer, and words that the message for it must hold."""

    misconception: str
    answer: object
    words: str


class Exercise:
    """One exercise. A subclass sets what is listed here, and writes `own` and `verify`.

    Attributes:
        id: the notebook's number and a name, such as "03-loop".
        kind: "turn" in the flow of a lesson, "exercise" at its end, "open" for its last one, which has a goal and no
            single solution, "milestone" in the project.
        points, minutes: what it is worth, and how long it takes.
        expects: what an answer is, in a few words, as in "a function of images (N, 28, 28) that returns digits (N,)".
        variable: the name that the notebook gives to an answer that is a value; None where the answer is a function,
            which is then called as `own` is.
        given: what `verify` needs from the notebook, as it is when tests run it: a dict, small and quick to make.
        hints: three, the first the gentlest; none holds the solution.
        right, wrong: answers that must pass, in several forms, and `Wrong` ones that must not.
        praise: what follows "Right." unless `verify` returns something else.
        seconds: after which judging is stopped.
    """

    id, kind, points, minutes, seconds = "", "exercise", 1, 5, 10
    expects, praise, variable = "", "", "answer"
    hints, right, wrong, given = (), (), (), types.MappingProxyType({})

    @staticmethod
    def own():
        """The course's own solution: the answer itself if `variable` is None, and else a function of what the notebook
        hands over that returns it."""
        raise NotImplementedError

    def verify(self, answer, **given):
        """Raise `NotYet` unless the answer is right. May return a sentence that follows "Right."."""
        raise NotImplementedError

    def taken(self, answer):
        """What the notebook goes on with when an answer was right."""
        return answer

    def judge(self, answer, **named):
        """Whether an answer is right, and what is to be said: `(right, message)`. Never raises, and leaves PyTorch's
        random numbers as they were.

        Args:
            answer: anything.
            named: what the check needs from the notebook; what is missing is taken from `given`.

        Returns:
            right: True, False, or None if there is no answer.
            message: one or more sentences.
        """
        try:
            if is_own(answer):
                return None, "This is the course's own version. Run the cell with your definition again, then this one."
            if is_blank(answer):
                raise NotAnswered
            praise = within(self.seconds, self._verify_alike, answer, named)
        except NotAnswered:
            return None, "Not answered yet."
        except NotYet as error:
            return False, str(error)
        except OutOfTime:
            return False, f"Stopped after {self.seconds} seconds: does a loop never end, or is there too much to do?"
        except Exception as error:
            return False, f"Expected is {self.expects}. With yours, the check met {worded(error)}."
        return True, f"Right. {praise or self.praise}".strip()

    def check(self, answer, **named):
        """Judge an answer, print what is to be said, and note the progress."""
        right, message = self.judge(answer, **named)
        self._tell(right, message, answer)

    def use(self, answer, **named):
        """Check an answer and return it if it is right; else the course's own takes its place, so that all that follows
        runs."""
        right, message = self.judge(answer, **named)
        instead = "" if right else "The course's own version takes its place."
        self._tell(right, f"{message} {instead}".strip(), answer)
        return self.taken(answer) if right else self.own_answer(**named)

    def hint(self):
        """Print the next hint."""
        taken = min(progress.own()["hints"].get(self.id, 0) + 1, len(self.hints))
        progress.record(lambda kept: kept["hints"].update({self.id: taken}))
        say(f"Hint {taken} of {len(self.hints)}: {self.hints[taken - 1]}")

    def solution(self):
        """Print the course's own solution, once an answer was checked; a milestone has none to show."""
        kept = progress.own()
        if self.kind == "milestone":
            say(f"A milestone has no solution to show; teachers find what to look for in {MARKING}.")
        elif self.id in kept["attempts"] or self.id in kept["solved"]:
            print(self.source)
        else:
            say(f"Try once first: the solution is shown after an answer was checked. {self._stuck}")

    def own_answer(self, **named):
        """The course's own answer, for what the notebook hands over."""
        if self.variable is not None:
            needed = inspect.signature(self.own).parameters
            return self.own(**{name: (named if name in named else self.given)[name] for name in needed})
        marked = types.FunctionType(
            self.own.__code__, self.own.__globals__, self.own.__name__, self.own.__defaults__, self.own.__closure__
        )
        vars(marked)[KNOWN] = self.id
        return marked

    @cached_property
    def source(self):
        """The course's own solution as a student would write it into the notebook."""
        code = textwrap.dedent(inspect.getsource(self.own))
        if self.variable is None:
            return code.rstrip()
        body = textwrap.dedent(code[re.search(r"\)(?: ->.*)?:\n", code).end() :]).rstrip()
        return re.sub(r"^return ", f"{self.variable} = ", body, flags=re.MULTILINE)

    @property
    def notebook(self):
        """The notebook that asks for it, without its ending: "03_training"."""
        return type(self).__module__.rpartition(".n")[2]

    def __repr__(self):
        return f"<exercise {self.id}: {self.expects}>"

    @property
    def _stuck(self):
        return f'Stuck? mh.exercise("{self.id}").hint()'

    def _verify_alike(self, answer, named):
        """Judge in the same way each time, whatever random numbers the notebook has used."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return self.verify(answer, **{**self.given, **named})

    def _tell(self, right, message, answer):
        if right:
            progress.record(lambda kept: kept["solved"].update({self.id: True}))
        elif right is False:
            progress.record(lambda kept: kept["attempts"].update({self.id: kept["attempts"].get(self.id, 0) + 1}))
            message = f"Not yet. {message}"
            if callable(answer) and answer is vars(self).get("_last"):
                message += " (This is the same function as before: after a change, run its cell again.)"
            self._last = answer
        say(message)
        if not right:
            print(textwrap.fill(self._stuck, LINE, break_long_words=False))
