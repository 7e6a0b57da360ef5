"""The four files of MNIST: their names and checksums, and whether the bytes in hand are theirs.

They are in IDX format: two zeros, a byte for the type of the values (8: unsigned byte), a byte for the number of
dimensions, each dimension in four bytes, the most significant first, and then the values.
"""

import gzip
import hashlib
import math
import zlib

import numpy as np

# SHA-256 of the uncompressed bytes, and shape. A .gz is judged by what it unpacks to, because mirrors compress the same
# bytes differently.
FILES = {
    "train-images-idx3-ubyte": ("ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db", (60_000, 28, 28)),
    "train-labels-idx1-ubyte": ("65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5", (60_000,)),
    "t10k-images-idx3-ubyte": ("0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7", (10_000, 28, 28)),
    "t10k-labels-idx1-ubyte": ("ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2", (10_000,)),
}


class DataError(RuntimeError):
    """MNIST could not be had in a usable form; the message names the files and what is wrong with each."""


def size_of(name):
    """The number of bytes of the uncompressed file `name`."""
    _, shape = FILES[name]
    return 4 + 4 * len(shape) + math.prod(shape)


def parse(name, raw):
    """The array `uint8`, in the shape that `FILES` names, in the checked bytes `raw` of the file `name`."""
    _, shape = FILES[name]
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * len(shape)).reshape(shape)


def unpack(name, file):
    """The checked bytes of the file `name` in the open binary `file`, which may be packed by gzip: its name does not
    tell, since some servers unpack what they send.

    Raises:
        DataError: these are not the bytes of `name`; says what is wrong, without the name.
    """
    try:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        with gzip.GzipFile(fileobj=file) if packed else file as unpacked:
            raw = unpacked.read(size_of(name) + 1)  # one byte too many is enough to see an over-long file
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"cannot be read ({error})") from error
    fault = _fault(name, raw)
    if fault:
        raise DataError(fault)
    return raw


def _fault(name, raw):
    """None if `raw` is the file `name`, else what is wrong with it. The checksum covers magic number, shape and count
    as well; they are told apart only to say what is wrong."""
    sha256, shape = FILES[name]
    header = bytes([0, 0, 8, len(shape)]) + b"".join(length.to_bytes(4, "big") for length in shape)
    if len(raw) != size_of(name):
        return f"has {len(raw):,} bytes instead of {size_of(name):,}"
    if raw[: len(header)] != header:
        return "has a wrong header (magic number or shape)"
    if hashlib.sha256(raw).hexdigest() != sha256:
        return "has a wrong SHA-256 checksum"
    return None
