"""Downloads of MNIST: several mirrors, a bound on bytes and on time, and every file checked before it is used."""

import io
import re
import threading
import time

import requests
from tqdm.auto import tqdm
from urllib3.exceptions import HTTPError, TimeoutError

from .idx import DataError, size_of, unpack

# torchvision's mirror first, then Google's copy and the original host. MNIST_MIRRORS replaces the list.
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "http://yann.lecun.com/exdb/mnist/",
)
ANSWER_SECONDS = 6  # a mirror that has not answered by then counts as unreachable
STALL_SECONDS = 10  # a download that delivers nothing for so long is given up,
SLOWEST = 20_000  # bytes a second, and one that is slower on average
CHUNK = 1 << 16  # bytes read at a time
IDENTITY = {"Accept-Encoding": "identity"}  # the .gz as it is: nothing is to be packed once more


def download(names, mirrors):
    """Download the files `names`, keys of `idx.FILES`, from `mirrors`, base URLs that are tried in turn; one that fails
    is not asked again.

    Yields:
        `(name, packed, raw)` for each file that was had: the bytes as they came, packed or not, and the checked
        uncompressed bytes.
    """
    mirrors = [mirror.rstrip("/") + "/" for mirror in mirrors]
    answers = _ask(mirrors, f"{names[0]}.gz")
    missing = list(names)
    for mirror in mirrors:
        if answers.get(mirror) != "ok":
            print(f"Mirror {_shown(mirror)} is no use: {answers.get(mirror, f'no answer in {ANSWER_SECONDS} s')}.")
            continue
        print(f"Downloading MNIST (11 MB) from {_shown(mirror)}")
        try:
            while missing:
                name = missing[0]
                packed = _fetch(f"{mirror}{name}.gz", limit=size_of(name) + 1000)
                yield name, packed, _checked(name, packed)
                missing.pop(0)
            return
        except (requests.RequestException, HTTPError, ValueError, DataError) as error:
            print(f"Mirror {_shown(mirror)} failed: {_reason(error)}.")


def _fetch(url, limit):
    """The bytes at `url`, `limit` at most: packed, no file is larger than unpacked but for gzip's own few bytes."""
    received, start = bytearray(), time.monotonic()
    with (
        requests.get(url, stream=True, timeout=STALL_SECONDS, headers=IDENTITY) as answer,
        tqdm(total=int(answer.headers.get("Content-Length", 0)) or None, unit="B", unit_scale=True) as bar,
    ):
        answer.raise_for_status()
        # read1 gives what has arrived. To wait for a full chunk could take for ever.
        while chunk := answer.raw.read1(CHUNK, decode_content=False):
            received += chunk
            bar.update(len(chunk))
            if len(received) > limit:
                raise DataError(f"it sends more than the {limit:,} bytes that there can be")
            if time.monotonic() - start > STALL_SECONDS + len(received) / SLOWEST:
                raise DataError(f"it sends fewer than {SLOWEST:,} bytes a second")
    return bytes(received)


def _checked(name, packed):
    try:
        return unpack(name, io.BytesIO(packed))
    except DataError as error:
        raise DataError(f"its {name}.gz {error}") from error


def _ask(mirrors, name):
    """Ask all mirrors at once for the head of a file: `{mirror: "ok" or what went wrong}`, in `ANSWER_SECONDS`.

    A network that swallows packets would hold up one mirror after the other for minutes; threads that are simply
    left behind bound the wait.
    """
    answers = {}

    def ask(mirror):
        try:
            with requests.get(mirror + name, stream=True, timeout=ANSWER_SECONDS, headers=IDENTITY) as answer:
                answer.raise_for_status()
                answers[mirror] = "ok"
        except (requests.RequestException, HTTPError, ValueError) as error:
            answers[mirror] = _reason(error)

    threads = [threading.Thread(target=ask, args=(mirror,), daemon=True) for mirror in mirrors]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + ANSWER_SECONDS
    for thread in threads:
        thread.join(max(0, deadline - time.monotonic()))
    return dict(answers)


def _shown(mirror):
    """A mirror's address without the name and password that it may hold."""
    return re.sub("//[^/]*@", "//", mirror)


def _reason(error):
    """What went wrong, in a few words: the messages of `requests` run over several lines."""
    if isinstance(error, requests.HTTPError):
        return f"it answered {error.response.status_code}"
    if isinstance(error, (requests.Timeout, TimeoutError)):
        return "it stopped answering"
    if isinstance(error, (requests.RequestException, HTTPError)):
        return f"the connection failed ({type(error).__name__})"
    return str(error)
