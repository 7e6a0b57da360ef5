"""The student's turns: what a notebook asks, how an answer is judged, and what is said of it.

`plainly → answers → limit → progress → exercise → scales → guess` is the machine; the files named after notebooks hold
what is asked in them, each by itself; `catalogue → pooled → table` find it and sum it up.
"""

import sys
from types import ModuleType


class _Callable(ModuleType):
    """This folder bears the name of `mh.exercises()`, and, once imported, stands in its place."""

    def __call__(self):
        from .catalogue import exercises

        return exercises()


sys.modules[__name__].__class__ = _Callable
