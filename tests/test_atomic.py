"""Files that are written whole or not at all, and what can be known beforehand of writing them."""

import os

import pytest

from mnist_helpers.atomic import atomic_write, check_writable


def test_a_symbolic_link_stays_one(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    with atomic_write(link) as temporary:
        temporary.write_text("new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_file_reaches_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    """Else a power cut could leave an empty file under the final name."""
    calls = []
    for name in ("fsync", "replace"):
        original = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *args, name=name, original=original: calls.append(name) or original(*args))
    with atomic_write(tmp_path / "file") as temporary:
        temporary.write_text("content")
    assert calls == ["fsync", "replace"]
    assert (tmp_path / "file").read_text() == "content"


# Before a long work


def test_a_place_that_takes_a_file_is_left_as_it_is(tmp_path):
    check_writable(tmp_path / "new")
    check_writable(str(tmp_path / "new"))
    (tmp_path / "old").write_text("content")
    check_writable(tmp_path / "old")
    (tmp_path / "link").symlink_to(tmp_path / "old")
    check_writable(tmp_path / "link")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "old"]
    assert (tmp_path / "old").read_text() == "content"


def fifo(path):
    os.mkfifo(path)
    return path


IMPOSSIBLE = {
    "no name": (lambda folder: "", ValueError, "is empty"),
    "no folder": (lambda folder: folder / "missing" / "x", FileNotFoundError, "no folder .*missing.* to save 'x' in"),
    "a folder": (lambda folder: folder, OSError, "is a folder"),
    "a folder with a slash": (lambda folder: f"{folder}/", OSError, "is a folder"),
    "a device": (lambda folder: "/dev/null", OSError, "is a device or a pipe"),
    "a pipe": (lambda folder: fifo(folder / "pipe"), OSError, "is a device or a pipe"),
    "a name too long": (lambda folder: folder / (300 * "x"), OSError, "nothing can be written"),
    "a link to nowhere": (lambda folder: link(folder / "link", folder / "gone" / "x"), FileNotFoundError, "gone"),
}


def link(path, target):
    path.symlink_to(target)
    return path


@pytest.mark.skipif(os.name != "posix", reason="devices, pipes and links are POSIX's")
@pytest.mark.parametrize("kind", IMPOSSIBLE)
def test_what_cannot_be_written_is_said_before(kind, tmp_path):
    make, error, message = IMPOSSIBLE[kind]
    path = make(tmp_path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(error, match=message):
        check_writable(path)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.skipif(os.name != "posix", reason="pipes are POSIX's")
def test_a_pipe_is_not_replaced_by_a_file(tmp_path):
    """Nor a device: an administrator would be left without it."""
    pipe = fifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="is a device or a pipe: name a file"), atomic_write(pipe) as temporary:
        temporary.write_text("content")
    assert pipe.is_fifo()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="the administrator may write everywhere")
def test_a_read_only_folder_takes_no_file(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OSError, match="nothing can be written"):
        check_writable(tmp_path / "x")
    tmp_path.chmod(0o700)
