"""Where the files of MNIST are: in the folder that MNIST_DATA names, in the user's cache folder, or on a mirror."""

import os
from contextlib import contextmanager
from pathlib import Path

import filelock

from .atomic import atomic_write
from .download import download
from .idx import FILES, DataError, unpack

LOCK_SECONDS = 900  # how long to wait while another process downloads


def find_files(shared, cache, mirrors):
    """Look for the four files in the folder `shared` (or its `MNIST/raw`), then in that of the `cache`, then on the
    `mirrors`. Only what is missing is looked for further on; what is downloaded is kept in the cache.

    Args:
        shared: the folder that MNIST_DATA names, which is only read, or None.

    Returns:
        `{name: (origin, raw)}`: for each file that was found in a sound copy, where, in words, and its uncompressed
        bytes.
    """
    found = {}
    if shared:
        folder = Path(shared)
        found, complaints = _collect(FILES, [folder / "MNIST" / "raw", folder], "MNIST_DATA")
        _say(complaints if folder.is_dir() else [f"MNIST_DATA names {shared!r}, which is no folder."])
    if len(found) < len(FILES):
        found |= _find_cached(_lacking(found), Path(cache) / "MNIST" / "raw", mirrors)
    return found


def _find_cached(names, folder, mirrors):
    """The files `names` from the cache's `folder`, or downloaded into it."""
    found, complaints = _collect(names, [folder], "the cache")
    # Most calls find all they need, and take no lock, so that a read-only cache will do. A *.part tells of a process
    # that was killed, or that is at work and soon done.
    if len(found) == len(names) and not complaints and not _leftovers(folder):
        return found
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder.parent.parent / "lock"):
            for leftover in _leftovers(folder):  # of a killed process: only the lock's holder writes
                leftover.unlink()
            found, complaints = _collect(names, [folder], "the cache", repair=True)
            _say(complaints)
            return found | _fill(_lacking(found, names), folder, mirrors)
    except OSError as error:  # filelock.Timeout is one as well
        _say([*complaints, f"The folder {folder} cannot be used for the data: {error}."])
        return found | _fill(_lacking(found, names), None, mirrors)


def _fill(names, folder, mirrors):
    """Download the files `names` and keep each in `folder`, packed and unpacked; in memory alone if there is none, or
    if it takes no more."""
    found = {}
    for name, packed, raw in download(names, mirrors) if names else ():
        found[name] = "download", raw
        try:
            if folder:
                _write(folder / f"{name}.gz", packed)
                _write(folder / name, raw)
        except OSError as error:
            print(f"What is downloaded cannot be kept in {folder}, and will be downloaded again: {error}.")
            folder = None
    return found


def _collect(names, folders, origin, repair=False):
    """The sound files among `names` in `folders`, `{name: (origin, bytes)}`, and a list of complaints about the others.
    With `repair`, a damaged plain file is written anew from its .gz."""
    sound, complaints = {}, []
    for name in names:
        damaged = None
        for path in (folder / (name + suffix) for folder in folders for suffix in ("", ".gz")):
            if name in sound or not os.path.isfile(path):  # unlike Path.is_file, also where the folder is forbidden
                continue
            try:
                with open(path, "rb") as file:
                    sound[name] = origin, unpack(name, file)
            except (OSError, DataError) as error:
                complaints.append(f"{origin}: {path.name} {error}; not used.")
                damaged = damaged or path
        if repair and damaged and name in sound and damaged.suffix != ".gz":
            _write(damaged, sound[name][1])
            complaints.append(f"{origin}: {name} was repaired from its .gz.")
    return sound, complaints


def _lacking(found, names=FILES):
    return [name for name in names if name not in found]


def _leftovers(folder):
    """The temporary files of `atomic_write` in `folder` that were to become files of MNIST."""
    return [path for name in FILES for suffix in ("", ".gz") for path in folder.glob(f"{name}{suffix}.????????.part")]


@contextmanager
def _alone(path):
    """Hold the lock `path`. Who has to wait for it is told so."""
    lock = filelock.FileLock(path)
    try:
        lock.acquire(timeout=1)
    except filelock.Timeout:
        print(f"Another program is downloading MNIST. Waiting for it, up to {LOCK_SECONDS // 60} minutes ...")
        lock.acquire(timeout=LOCK_SECONDS)
    try:
        yield
    finally:
        lock.release()


def _write(path, raw):
    with atomic_write(path) as temporary:
        temporary.write_bytes(raw)


def _say(lines):
    for line in lines:
        print(line)
