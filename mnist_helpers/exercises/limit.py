"""A time limit for code that may never end."""

import ctypes
import threading


class OutOfTime(BaseException):
    """Raised in the midst of code that took too long. Not an `Exception`, which that code might catch."""


def within(seconds, function, *arguments, **named):
    """What `function` returns, if it does so within `seconds`. It runs in a thread, which every system can stop
    between two of Python's steps; a single endless step is left to itself, and ends with the program.

    Raises:
        OutOfTime: it took longer.
        RuntimeError: it raised what ends a program, such as SystemExit.
        Exception: whatever else it raised.
    """
    outcome = {}

    def run():
        try:
            outcome["result"] = function(*arguments, **named)
        except BaseException as error:
            outcome["error"] = error

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        thread.join(seconds)
    finally:  # also when the waiting is interrupted
        for _ in range(3):  # an `except:` in a loop may swallow one or two
            if thread.is_alive():
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(OutOfTime))
                thread.join(0.2)
    if "result" in outcome:
        return outcome["result"]
    error = outcome.get("error", OutOfTime())
    if isinstance(error, Exception | OutOfTime):
        raise error
    raise RuntimeError(f"it ended itself with {type(error).__name__}") from error
