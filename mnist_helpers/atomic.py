"""Files that are written whole or not at all."""

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_write(path):
    """Yield a temporary path in the folder of `path`. When the block ends well, flush that file to the disk and rename
    it to `path`; otherwise remove it. Whatever happens, `path` is either untouched or complete.

    Raises:
        OSError: nothing can be written there, or something else than a file has this name.
    """
    given, path = path, Path(os.path.realpath(path))  # what a symbolic link points to is replaced, not the link
    name = _make_temporary(path, given)
    try:
        yield Path(name)
        with open(name, "rb+") as file:
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)  # mkstemp makes the file private; a shared cache needs the usual rights
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def check_writable(path):
    """Find out before a long work whether its result can be written to `path`, which stays as it is.

    Raises:
        ValueError: the name is empty.
        FileNotFoundError: there is no such folder.
        OSError: something else than a file, a folder or a device for example, has this name, or the folder takes no
            new file.
    """
    if not os.fspath(path):
        raise ValueError("the name of the file to write is empty")
    target = Path(os.path.realpath(path))  # as `atomic_write` does
    if not target.parent.is_dir():
        folder = target.parent if os.path.islink(path) else Path(path).parent
        raise FileNotFoundError(f"there is no folder {str(folder)!r} to save {target.name!r} in")
    os.unlink(_make_temporary(target, path))


def _make_temporary(path, given):
    """An empty file beside `path`, where a file may be, but not a folder or something else that would be replaced.
    Messages call it as it was `given`."""
    if os.path.exists(path) and not os.path.isfile(path):
        raise OSError(f"{str(given)!r} is {'a folder' if path.is_dir() else 'a device or a pipe'}: name a file")
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name + ".", suffix=".part")
    except OSError as error:
        raise type(error)(f"nothing can be written to {str(given)!r}: {error.strerror}") from error
    os.close(handle)
    return name
