"""What a student hands over, made what a check can compare. Any reasonable form is taken; what is none is answered in
words that say what was expected."""

import ast
import dis
import inspect
import math
import re
import textwrap
import traceback
import types
from functools import wraps

import numpy as np
import torch

from .plainly import plainly

KNOWN = "course_own"  # the attribute that marks the course's own version of a function


class NotYet(Exception):
    """An answer that is not right yet. Its text is what the student reads: what is wrong, and never the solution."""


class NotAnswered(Exception):
    """No answer: the stub as it was."""


def require(condition, message):
    """Raise `NotYet(message)` unless `condition` holds (a bool, or a tensor of one)."""
    if not condition:
        raise NotYet(message)


def number(answer):
    """A finite float, from an int, a float, text such as "235,146" or "98 %" (0.98), or a list, an array or a tensor
    that holds one number.

    Raises:
        NotYet: it is none of these.
    """
    if isinstance(answer, str):
        value = _read(answer)
    elif isinstance(answer, bool) or callable(answer):
        raise NotYet(f"A number is expected, and this is {described(answer)}.")
    else:
        values = tensor(answer).flatten()
        require(len(values) == 1, f"One number is expected, and this is {described(answer)}.")
        value = values.item()
    require(math.isfinite(value), f"Your answer is {value}: was something divided by 0, or its logarithm taken?")
    return value


def whole(answer):
    """An int, from whatever `number` takes, if it is whole."""
    value = number(answer)
    require(abs(value - round(value)) < 1e-6, f"A whole number is expected, and yours is {value:,.10g}.")
    return round(value)


def share(answer):
    """A float from 0 to 1, from whatever `number` takes; 80.8 and "80.8 %" are 0.808."""
    value = number(answer)
    value = value / 100 if 1 < value <= 100 else value
    require(0 <= value <= 1, f"A share lies between 0 and 1, or 0 and 100 %, and yours is {value:g}.")
    return value


def tensor(answer, shape=None):
    """A tensor, float64, on the CPU, without a gradient; from a number, a list (of numbers, lists, arrays or tensors),
    an array or a tensor.

    Args:
        shape: what its shape must be; None in it stands for any length.

    Raises:
        NotYet: it is none of these, or has another shape.
    """
    form = "" if shape is None else f" of shape {_shape(shape)}"
    if answer is None or isinstance(answer, str) or (callable(answer) and not isinstance(answer, torch.Tensor)):
        raise NotYet(f"Numbers{form} are expected, and this is {described(answer)}.")
    try:
        made = _to_tensor(answer)
    except (TypeError, ValueError, RuntimeError) as error:
        raise NotYet(f"Numbers{form} are expected, and this is {described(answer)}.") from error
    if shape is not None:
        fits = made.ndim == len(shape) and all(b is None or a == b for a, b in zip(made.shape, shape, strict=True))
        require(fits, f"The shape {_shape(shape)} is expected, and yours is {_shape(made.shape)}.")
    return made


def numbers(answer, count):
    """A list of `count` floats, from a tuple, list, array or tensor."""
    return tensor(answer, (count,)).tolist()


def choice(answer, options):
    """The one of `options`, texts, that the answer names; case and blanks do not matter."""
    known = {_plain(option): option for option in options}
    found = known.get(_plain(str(answer)))
    if found is None:
        raise NotYet(f"One of {', '.join(repr(option) for option in options)} is expected, and this is {answer!r:.60}.")
    return found


def function(answer, takes):
    """The answer, if it can be called.

    Args:
        takes: what it is called with, in words, as in "images and means".
    """
    if not callable(answer):
        raise NotYet(f"A function of {takes} is expected, without brackets behind its name, not {described(answer)}.")
    return answer


def call(answer, *arguments, **named):
    """What a student's function returns for these arguments.

    Raises:
        NotYet: it returned nothing, in place of a change or not, or stopped with an error.
        NotAnswered: it returned `...`, the stub's blank.
    """
    before = [_copied(argument) for argument in arguments]
    try:
        result = answer(*arguments, **named)
    except (NotYet, NotAnswered):
        raise
    except Exception as error:
        raise NotYet(f"Your function stopped with {worded(error)}{_where(error, answer)}.{plainly(error)}") from error
    if result is Ellipsis:
        raise NotAnswered
    if result is None:
        changed = any(_differ(old, new) for old, new in zip(before, arguments, strict=True))
        raise NotYet(
            "Your function changed what it was given, and returned nothing: is there a `return` at its end?"
            if changed
            else "Your function returned nothing: is there a `return`? (What it prints does not count.)"
        )
    return result


def converted(answer, form):
    """A student's function with its results brought into one form by `form`, for the cells that go on with it."""

    @wraps(answer)
    def in_one_form(*arguments, **named):
        return form(answer(*arguments, **named))

    return in_one_form


def compare(value, right, known, otherwise, within=1e-6):
    """Raise `NotYet` unless a value is right.

    Args:
        value: a number, or a tensor.
        right: what it must be, up to `within`; of the same shape.
        known: pairs `(wrong value, message)`: what is to be said of the usual mistakes. A wrong value of another shape
            than `value` is passed over.
        otherwise: what is said of any other.
    """
    if _close(value, right, within):
        return
    for wrong, message in known:
        require(not _close(value, wrong, within), message)
    raise NotYet(otherwise)


def is_blank(answer):
    """Whether an answer is still the stub's: None, `...`, empty text, or a function with a blank `...` in it."""
    if answer is None or answer is Ellipsis or (isinstance(answer, str) and not answer.strip()):
        return True
    return isinstance(answer, types.FunctionType) and _has_blank(answer)


def is_own(answer):
    """Whether an answer is the course's own version of a function, which `use` has put in the place of a stub."""
    return isinstance(answer, types.FunctionType) and KNOWN in vars(answer)


def described(answer):
    """What an answer is, in a few words; never raises."""
    kind = type(answer).__name__
    try:
        if isinstance(answer, types.FunctionType | types.BuiltinFunctionType | types.MethodType):
            return f"the function {answer.__name__}"
        if isinstance(answer, torch.Tensor | np.ndarray) and answer.ndim:
            return f"numbers of shape {_shape(answer.shape)}"
        if isinstance(answer, list | tuple | dict | set):
            return f"a {kind} of length {len(answer)}"
        text = repr(answer)
    except Exception:
        return f"something of type {kind}"
    return text if len(text) <= 40 else f"something of type {kind}"


def worded(error):
    """An error's type and text, on one line; never raises."""
    try:
        text = " ".join(str(error).split()).rstrip(".")
    except Exception:
        text = ""
    return type(error).__name__ + (f": {textwrap.shorten(text, 200)}" if text else "")


def _read(text):
    plain = re.sub(r"[\s_\u2009\u202f']", "", text)
    plain = re.sub(r",(?=\d{3}(\D|$))", "", plain).replace(",", ".")  # 235,146 and 0,98
    per_cent = plain.endswith("%")
    try:
        return float(plain.removesuffix("%").replace("−", "-")) / (100 if per_cent else 1)
    except ValueError as error:
        raise NotYet(f"A number is expected, and {text!r:.60} is none.") from error


def _to_tensor(answer):
    if isinstance(answer, torch.Tensor):
        return answer.detach().cpu().double()
    if isinstance(answer, list | tuple) and any(isinstance(part, torch.Tensor | np.ndarray | list) for part in answer):
        return torch.stack([_to_tensor(part) for part in answer])
    return torch.as_tensor(np.asarray(answer, dtype=np.float64))


def _shape(shape):
    lengths = ["N" if length is None else str(length) for length in shape]
    return f"({', '.join(lengths)}{',' if len(lengths) == 1 else ''})"


def _plain(text):
    return " ".join(text.casefold().split())


def _copied(argument):
    if isinstance(argument, torch.Tensor):
        return argument.detach().clone()
    return argument.copy() if isinstance(argument, np.ndarray | list | dict) else argument


def _differ(old, new):
    if isinstance(new, torch.Tensor):
        return not torch.equal(old, new.detach())
    if isinstance(new, np.ndarray):
        return not np.array_equal(old, new)
    return isinstance(new, list) and (len(old) != len(new) or any(a is not b for a, b in zip(old, new, strict=True)))


def _close(value, other, within):
    value, other = (torch.as_tensor(one, dtype=torch.float64) for one in (value, other))
    return value.shape == other.shape and bool(((value - other).abs() <= within).all())


def _where(error, answer):
    """The line of the student's function in which it stopped."""
    code = getattr(answer, "__code__", None)
    for frame, line in traceback.walk_tb(error.__traceback__):
        if frame.f_code is code:
            try:
                lines, start = inspect.getsourcelines(answer)
            except (OSError, TypeError):
                return ""
            return f", in the line `{lines[line - max(start, 1)].strip()}`" if 0 <= line - start < len(lines) else ""
    return ""


def _has_blank(answer):
    """Whether `...` stands where the student's lines belong: alone, behind = or behind return."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(answer)))
    except (OSError, TypeError, SyntaxError):  # without its source, an empty body is all that can be seen
        steps = [step for step in dis.get_instructions(answer) if step.opname not in ("RESUME", "NOP", "RETURN_VALUE")]
        return all("CONST" in step.opname and step.argval is None for step in steps)
    blanks = (ast.Expr, ast.Assign, ast.Return)
    values = [node.value for node in ast.walk(tree) if isinstance(node, blanks)]
    return any(isinstance(value, ast.Constant) and value.value is Ellipsis for value in values)
