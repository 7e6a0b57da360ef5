"""Files of PyTorch's that may come from anybody: looked at before they are read, so that reading one costs no more
memory and time than its size allows."""

import zipfile
from pathlib import Path

import torch

BEGINNING = b"PK\x03\x04"  # of a zip archive. PyTorch has readers for other formats, which are less careful.


class CheckpointError(ValueError):
    """A file is not a checkpoint that can be used here; the message says why."""


def read_archive(path):
    """What `torch.save` has put into the file `path`: tensors on the CPU and plain values. No code in it can run.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: the file is damaged, of another kind, or holds more than tensors and plain values.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint {str(path)!r}")
    try:
        _check_archive(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises many kinds, by how the file is damaged
        raise CheckpointError(
            f"{path} is not a usable checkpoint: it is damaged, of another kind, or holds more than weights and plain "
            f"values, which is refused because that could run code ({type(error).__name__}). Train again for a new one."
        ) from error


def _check_archive(path):
    """Refuse what `torch.save` does not write: something before the archive, packed or overlapping parts, or wrong
    checksums, which torch.load does not look at."""
    with open(path, "rb") as file:
        if file.read(4) != BEGINNING:
            raise zipfile.BadZipFile("no archive at the first byte")
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
        if any(part.compress_type != zipfile.ZIP_STORED for part in parts):
            raise zipfile.BadZipFile("a part is packed")
        if sum(part.file_size for part in parts) > path.stat().st_size:
            raise zipfile.BadZipFile("the parts are larger than the file")
        if archive.testzip():
            raise zipfile.BadZipFile("wrong checksum")
