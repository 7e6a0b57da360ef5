"""Files that are written whole or not at all."""

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_write(path):
    """Yield a temporary path in the folder of `path`. When the block ends well, flush that file to the disk and rename
    it to `path`; otherwise remove it. Whatever happens, `path` is either untouched or complete."""
    path = Path(os.path.realpath(path))  # what a symbolic link points to is replaced, not the link
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name + ".", suffix=".part")
    os.close(handle)
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
    if os.path.exists(target) and not os.path.isfile(target):
        kind = "a folder" if target.is_dir() else "a device or a pipe"
        raise OSError(f"{str(path)!r} is {kind}: name a file")
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=target.name + ".", suffix=".part")
    except OSError as error:
        raise OSError(f"nothing can be written to {str(path)!r}: {error.strerror}") from error
    os.close(handle)
    os.unlink(name)
