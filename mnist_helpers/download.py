"""Downloads of MNIST: several mirrors, a bound on bytes and on time, and every file checked before it is used."""

import io
import re
import threading
import time
from concurrent.futures import Future
from urllib.parse import urljoin

import requests
import urllib3
from tqdm.auto import tqdm

from .idx import DataError, size_of, unpack

# torchvision's mirror first, then Google's copy and the original host. MNIST_MIRRORS replaces the list.
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "http://yann.lecun.com/exdb/mnist/",
)
ANSWER_SECONDS = 6  # a mirror that has not answered by then counts as unreachable,
REDIRECTS = 5  # also one that has sent the question on and on
STALL_SECONDS = 10  # a download that delivers nothing for so long is given up,
SLOWEST = 20_000  # bytes a second, and one that is slower on average
CHUNK = 1 << 16  # bytes read at a time
FAILURES = (requests.RequestException, urllib3.exceptions.HTTPError, TimeoutError, ValueError, DataError)
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
        if answers[mirror] != "ok":
            print(f"Mirror {_shown(mirror)} is no use: {answers[mirror]}.")
            continue
        print(f"Downloading MNIST (11 MB) from {_shown(mirror)}")
        try:
            while missing:
                name = missing[0]
                packed = _fetch(f"{mirror}{name}.gz", limit=size_of(name) + 1000)
                yield name, packed, _checked(name, packed)
                missing.pop(0)
            return
        except FAILURES as error:
            print(f"Mirror {_shown(mirror)} failed: {_reason(error)}.")


def _fetch(url, limit):
    """The bytes at `url`, `limit` at most: packed, no file is larger than unpacked but for gzip's own few bytes."""
    received, start = bytearray(), time.monotonic()
    with (
        _soon(_open, url).result(ANSWER_SECONDS) as answer,
        tqdm(total=int(answer.headers.get("Content-Length", 0)) or None, unit="B", unit_scale=True) as bar,
    ):
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
    """Ask all mirrors at once for the head of a file: `{mirror: "ok" or what went wrong}`, in `ANSWER_SECONDS`."""
    deadline = time.monotonic() + ANSWER_SECONDS
    asked = {mirror: _soon(_open, mirror + name) for mirror in mirrors}
    answers = {}
    for mirror, answer in asked.items():
        try:
            answer.result(max(0, deadline - time.monotonic())).close()
            answers[mirror] = "ok"
        except FAILURES as error:
            answers[mirror] = _reason(error)
    return answers


def _open(url):
    """The answer to a request for `url`, of which only the head has been read. Redirections are followed here, since
    `requests` reads the bodies that come with them, however long they are."""
    for _ in range(1 + REDIRECTS):
        answer = requests.get(url, stream=True, timeout=STALL_SECONDS, headers=IDENTITY, allow_redirects=False)
        if not answer.is_redirect:
            answer.raise_for_status()
            return answer
        answer.close()
        url = urljoin(url, answer.headers["Location"])
    raise DataError("it sends the question on and on")


def _soon(function, *arguments):
    """A `Future` of a call in another thread. A network that swallows packets, or a server that sends a letter now and
    then, would hold it up for ever; so nobody waits for the thread in the end."""
    future = Future()

    def call():
        try:
            future.set_result(function(*arguments))
        except Exception as error:
            future.set_exception(error)

    threading.Thread(target=call, daemon=True).start()
    return future


def _shown(mirror):
    """A mirror's address without the name and password that it may hold."""
    return re.sub("//[^/]*@", "//", mirror)


def _reason(error):
    """What went wrong, in a few words: the messages of `requests` run over several lines."""
    if isinstance(error, requests.HTTPError):
        return f"it answered {error.response.status_code}"
    if isinstance(error, TimeoutError):
        return f"no answer in {ANSWER_SECONDS} s"
    if isinstance(error, (requests.Timeout, urllib3.exceptions.TimeoutError)):
        return "it stopped answering"
    if isinstance(error, (requests.RequestException, urllib3.exceptions.HTTPError)):
        return f"the connection failed ({type(error).__name__})"
    return str(error)
