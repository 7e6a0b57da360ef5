"""Files of PyTorch's that may come from anybody: looked at before they are read, so that reading one costs no more
memory and time than its size allows."""

import pickle
import pickletools
import re
import zipfile
from pathlib import Path

import torch

BEGINNING = b"PK\x03\x04"  # of a zip archive. PyTorch has readers for other formats, which are less careful.
CALLABLE = ("collections OrderedDict", "torch._utils _rebuild_tensor_v2")
STORAGE = re.compile(r"torch \w+Storage")  # the memory of a tensor


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
    """Refuse what `torch.save` does not write: something before or behind the archive, packed or overlapping parts, or
    wrong checksums, which torch.load does not look at."""
    with open(path, "rb") as file:
        if file.read(4) != BEGINNING:
            raise zipfile.BadZipFile("no archive at the first byte")
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
        if min(part.header_offset for part in parts) or archive.comment:
            raise zipfile.BadZipFile("two files in one, of which PyTorch may read the other")
        if any(part.compress_type != zipfile.ZIP_STORED for part in parts):
            raise zipfile.BadZipFile("a part is packed")
        if sum(max(part.file_size, part.compress_size) for part in parts) > path.stat().st_size:
            raise zipfile.BadZipFile("the parts are larger than the file")
        if archive.testzip():
            raise zipfile.BadZipFile("wrong checksum")
        # The name as it is in the file, and in any case: so PyTorch looks for it.
        (values,) = (part for part in parts if part.orig_filename.lower().endswith("data.pkl"))
        _check_values(archive.read(values))


def _check_values(program):
    """Look through the program of pickle's that makes the values again, before anything follows it. PyTorch lets it
    call some things that `torch.save` has no need of here, and that can be asked for more memory than there is; and a
    tuple that holds another one twice, which does so too, and so on, takes for ever as the key of a dict."""
    tuples, last, again = set(), "", 0
    for operation, argument, _ in pickletools.genops(program):
        if "GLOBAL" in operation.name and argument not in CALLABLE and not STORAGE.fullmatch(str(argument)):
            raise pickle.UnpicklingError(f"{argument!r:.60} is called")
        if operation.name in ("BINPUT", "LONG_BINPUT") and last.startswith("TUPLE"):
            tuples.add(argument)
        again += operation.name in ("BINGET", "LONG_BINGET") and argument in tuples
        last = operation.name
        if again > 32 or last in ("DUP", "MEMOIZE", "PUT", "GET"):  # of these PyTorch writes none
            raise pickle.UnpicklingError("values within values")
