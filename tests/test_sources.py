"""Finding, checking, repairing and downloading the files of MNIST: the rooms idx, download and sources.

The four files are replaced by the small ones of `mirror.py`.
"""

import functools
import gzip
import os
import re
import signal
import socket
import tempfile
import time

import filelock
import mirror
import pytest
from mirror import NAMES, TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS, Mirror

from conftest import RAW
from mnist_helpers import data, download, sources

pytestmark = pytest.mark.usefixtures("alone")


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


def test_the_cache_is_where_a_variable_says(cache, tmp_path, monkeypatch):
    """On every system: a program that is to take the sample for certain is given an empty one, and no mirrors."""
    monkeypatch.setenv("MNIST_CACHE", str(cache))
    assert data.load_mnist(mirrors=[]).source.is_sample
    mirror.write(cache / RAW, plain=NAMES)
    assert is_right(data.load_mnist(mirrors=[]))
    assert data.load_mnist(cache=tmp_path / "another", mirrors=[]).source.is_sample


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
    # The first file that is missing is asked for once more, to see whether the mirror answers.
    assert source.requests == {TRAIN_LABELS: 2, TEST_IMAGES: 1}
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
    mirror.endless,
    mirror.drip,
    mirror.packed_once_more,
    mirror.endless_head,
    mirror.sent_on,
]


@pytest.mark.parametrize("serve", BROKEN, ids=lambda serve: serve.__name__)
def test_second_mirror_stands_in_for_a_broken_first(serve, cache, monkeypatch, capsys):
    monkeypatch.setattr(download, "ANSWER_SECONDS", 3)  # long enough for the sound mirror on a busy machine
    monkeypatch.setattr(download, "STALL_SECONDS", 2)
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


def test_what_is_packed_once_more_is_not_unpacked_on_the_way():
    """It would be a thousand times as much as what was counted."""
    with Mirror(mirror.packed_once_more) as source:
        assert len(download._fetch(f"{source.url}{TRAIN_IMAGES}.gz", limit=1_000_000)) < 200_000


def test_a_server_that_sends_on_to_another_place_is_followed(cache):
    with Mirror(mirror.sent_to_the_right_place) as source:
        assert is_right(data.load_mnist(cache=cache, mirrors=[source.url]))


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


def test_where_the_cache_cannot_be_written_the_download_is_used_but_not_kept(tmp_path, small, monkeypatch, capsys):
    """And nothing is written elsewhere: a folder that everybody may write to is not for data that is trusted."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    (tmp_path / "file").write_text("no folder")
    cache = tmp_path / "file" / "cache"
    with Mirror() as source:
        assert is_right(data.load_mnist(cache=cache, mirrors=[source.url]))
    assert f"{cache / RAW} cannot be used" in capsys.readouterr().out
    assert not list((tmp_path / "temporary").iterdir())
    assert data.load_mnist(cache=cache, mirrors=[]).source.is_sample


def test_only_its_own_leftovers_are_removed(cache):
    mirror.write(cache / RAW, plain=NAMES)
    own = cache / RAW / f"{TRAIN_IMAGES}.gz.abcd_123.part"
    others = [cache / RAW / name for name in ("big_download.iso.part", f"{TRAIN_IMAGES}.part", "thesis.abcd_123.part")]
    for path in (own, *others):
        path.write_text("half of it")
    assert is_right(data.load_mnist(cache=cache, mirrors=[]))
    assert not own.exists()
    assert all(path.exists() for path in others)


@pytest.mark.skipif(os.name != "posix", reason="rights of folders are POSIX's")
def test_a_folder_that_must_not_be_looked_into_counts_as_empty(tmp_path):
    tmp_path.chmod(0)
    user = os.geteuid()
    try:
        if user == 0:
            os.seteuid(65534)  # root may look into everything
        assert sources._collect(NAMES, [tmp_path / "MNIST"], "the cache") == ({}, [])
    finally:
        os.seteuid(user)
        tmp_path.chmod(0o700)


# Other processes


@pytest.fixture
def start(processes, cache):
    """Start a process that loads MNIST as soon as it may `go`: `(process, pipe)`."""
    running = []

    def start(mirrors, go=None, prepare=None):
        here, there = processes.Pipe(duplex=False)
        arguments = (there, go, mirror.files(), cache, mirrors, prepare)
        process = processes.Process(target=mirror.load, args=arguments, daemon=True)
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
        while stalling.requests[TRAIN_IMAGES] < 2 and time.monotonic() < deadline:  # the first only asks
            time.sleep(0.01)
        process.kill()
        process.join(60)
    with Mirror() as source:
        assert is_right(data.load_mnist(cache=cache, mirrors=[source.url]))
    assert_sound(cache)


@pytest.mark.parametrize("room", ["half of a .gz", "a .gz, but not what is in it"])
def test_a_download_that_the_disk_cannot_hold_is_used(start, cache, room):
    size = len(mirror.packed(TRAIN_IMAGES))
    limit = size // 2 if room.startswith("half") else size + 1
    with Mirror() as source:
        _, pipe = start([source.url], prepare=functools.partial(mirror.fill_disk, limit))
        contents, _, printed = receive(pipe)
    assert contents == mirror.expected_contents()
    assert "cannot be kept" in printed
    assert_sound(cache)


def test_who_waits_for_another_program_is_told_so(cache, monkeypatch, capsys):
    """A slow network, or somebody who holds the lock: without a word it would look like a program that hangs."""
    monkeypatch.setattr(sources, "LOCK_SECONDS", 1)
    cache.mkdir()
    with Mirror() as source, filelock.FileLock(cache / "lock"):
        assert is_right(data.load_mnist(cache=cache, mirrors=[source.url]))  # without what the other one is doing
    assert "Another program is downloading MNIST. Waiting for it" in capsys.readouterr().out


def test_a_mirror_s_password_is_not_shown(cache, capsys):
    with Mirror(mirror.not_found) as source:
        data.load_mnist(cache=cache, mirrors=[source.url.replace("//", "//anna:secret@")])
    printed = capsys.readouterr().out
    assert source.url in printed
    assert "secret" not in printed
