"""The web app as a server: visitors without end, pages that are left, and messages made to do harm.

It serves a small notebook in the place of the pad, whose kernel is there at once.
"""

import itertools
import json
import re
import time

import nbformat
import pytest
import requests
import websocket
from browser import Server
from nbformat.v4 import new_code_cell, new_notebook

from scripts import app

PROTOCOL = "v1.kernel.websocket.jupyter.org"
NUMBERS = itertools.count()
CODE = "import ipywidgets\nslider = ipywidgets.IntSlider()\nslider"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """With room for three kernels, one of which stands ready for the next visitor."""
    folder = tmp_path_factory.mktemp("server")
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    nbformat.write(new_notebook(cells=[new_code_cell(CODE)], metadata=kernel), folder / "small.ipynb")
    (folder / "private.png").write_bytes(b"\x89PNG")
    options = ("--App.visitors=3", "--Kernels.patience=2", "--Kernels.cull_interval=1", "--Voila.ip=0.0.0.0")
    folders = (f"--Voila.notebook_path={folder / 'small.ipynb'}", f"--Voila.connection_dir_root={folder}")
    server = Server("app", "scripts.app", folder, *options, *folders)
    try:
        server.wait()
        yield server
    finally:
        server.stop()


def visit(server, query="", **headers):
    """A page and its kernel's name; without one, if there was no room."""
    answer = requests.get(f"http://{server.host}/{query}", headers=headers, timeout=60)
    found = re.search(r'"kernelId": "([\w-]+)"', answer.text)
    return answer, found and found[1]


def connect(server, kernel, protocol=PROTOCOL):
    address = f"ws://{server.host}/api/kernels/{kernel}/channels"
    return websocket.create_connection(address, subprotocols=[protocol] if protocol else None, timeout=30)


def is_there(server, kernel):
    return requests.get(f"http://{server.host}/api/kernels/{kernel}", timeout=10).status_code == 200


def wait_until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture
def kernel(server):
    """Of a visitor who leaves when the test ends."""
    deadline, kernel = time.monotonic() + 60, None
    while kernel is None:
        assert time.monotonic() < deadline, "there is no place"
        kernel = visit(server)[1]
    yield kernel
    leave(server, kernel)


def leave(server, kernel):
    """As a page does that is closed: without a token, which it never got."""
    return requests.post(f"http://{server.host}/voila/api/shutdown/{kernel}", timeout=30)


def pack(channel, kind, content):
    """A message in Jupyter's protocol v1: a channel and four parts, and before them where each begins."""
    header = {"msg_id": str(next(NUMBERS)), "msg_type": kind, "session": "s", "username": "", "version": "5.4"}
    header["date"] = "2026-01-01T00:00:00Z"
    parts = [channel.encode(), *(json.dumps(part).encode() for part in (header, {}, {}, content))]
    offsets = [8 * (2 + len(parts))]
    for part in parts:
        offsets.append(offsets[-1] + len(part))
    return b"".join(number.to_bytes(8, "little") for number in (len(offsets), *offsets)) + b"".join(parts)


def unpack(raw):
    count = int.from_bytes(raw[:8], "little")
    offsets = [int.from_bytes(raw[8 * (i + 1) : 8 * (i + 2)], "little") for i in range(count)]
    header, _, _, content = (json.loads(raw[offsets[i] : offsets[i + 1]]) for i in range(1, 5))
    return header["msg_type"], content


def ask(socket, kind, content, answer, seen=None):
    """Send a message and wait for the answer of that kind; what comes before goes to the list `seen`."""
    socket.send_binary(pack("shell", kind, content))
    seen = [] if seen is None else seen
    while not seen or seen[-1][0] != answer:
        seen.append(unpack(socket.recv()))
    return seen[-1][1]


def test_a_message_in_the_old_protocol_is_refused(server, kernel):
    """Voilà would misread it, and stop for ever."""
    with pytest.raises(websocket.WebSocketBadStatusException, match="400"):
        connect(server, kernel, protocol=None)
    with pytest.raises(websocket.WebSocketBadStatusException, match="400"):
        connect(server, kernel, protocol="v0.something.else")
    socket = connect(server, kernel)
    assert ask(socket, "kernel_info_request", {}, "kernel_info_reply")["status"] == "ok"
    socket.close()


WRONG = {
    "numbers without end": (2**63).to_bytes(8, "little"),
    "nothing": b"",
    "no parts": bytes(8),
    "fewer numbers than it says": (99).to_bytes(8, "little") + bytes(80),
    "too many": (101).to_bytes(8, "little") + bytes(8 * 200),
    "text": "{}",
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_no_message_is_seen_before_it_is_read(kind):
    assert not app.is_message(WRONG[kind])


def test_a_message_that_would_be_counted_for_ever_ends_the_connection_and_nothing_else(server, kernel):
    right = pack("shell", "kernel_info_request", {})
    assert app.is_message(right)
    assert app.is_message(pack("shell", "comm_msg", {"data": "x" * 5_000_000}))
    for wrong in WRONG.values():
        socket = connect(server, kernel)
        (socket.send if isinstance(wrong, str) else socket.send_binary)(wrong)
        opcode = None
        while opcode != websocket.ABNF.OPCODE_CLOSE:
            opcode, data = socket.recv_data()
        assert int.from_bytes(data[:2], "big") == 1007
        assert is_there(server, kernel)  # the server answers


def test_a_visitor_is_not_told_where_things_are_on_this_machine(server, kernel):
    """As the traceback of an error would tell."""
    socket = connect(server, kernel)
    for name in ask(socket, "comm_info_request", {}, "comm_info_reply")["comms"]:
        wrong = {"method": "update", "state": {"value": "high"}, "buffer_paths": []}
        socket.send_binary(pack("shell", "comm_msg", {"comm_id": name, "data": wrong}))
    seen = []
    ask(socket, "comm_info_request", {}, "comm_info_reply", seen)  # what was sent before is answered before
    assert "comm_msg" in [kind for kind, _ in seen]  # the slider has got it, and refused
    assert "error" not in [kind for kind, _ in seen]
    assert "site-packages" not in str(seen)
    socket.close()


def test_a_page_that_is_closed_gives_its_kernel_back(server, kernel):
    assert is_there(server, kernel)
    assert leave(server, kernel).status_code == 204
    assert not is_there(server, kernel)


def test_a_page_that_is_gone_without_a_word_gives_its_kernel_back_too(server, kernel):
    connect(server, kernel).close()
    time.sleep(1)
    socket = connect(server, kernel)  # the network was lost, and is there again
    time.sleep(4)
    assert is_there(server, kernel)
    socket.close()
    wait_until(lambda: not is_there(server, kernel))


def test_a_page_that_never_connects_gives_its_kernel_back(server):
    _, kernel = visit(server)
    assert is_there(server, kernel)
    wait_until(lambda: not is_there(server, kernel))


def test_in_a_container_its_limit_counts(tmp_path):
    free = app.free_memory(tmp_path)  # no limit is told there
    assert free > 1e8
    (tmp_path / "memory.current").write_text("90000000\n")
    (tmp_path / "memory.stat").write_text("anon 50000000\ninactive_file 20000000\n")
    for limit, expected in (("100000000\n", 30_000_000), ("max\n", pytest.approx(free, rel=0.5))):
        (tmp_path / "memory.max").write_text(limit)
        assert app.free_memory(tmp_path) == expected


def test_when_all_places_are_taken_the_page_says_so_until_one_is_free(server):
    taken, sockets = [], []
    for _ in range(10):
        answer, kernel = visit(server)
        if kernel is None:
            break
        taken.append(kernel)
        sockets.append(connect(server, kernel))  # who does not is soon taken for gone
    assert answer.status_code == 503
    assert "All places are taken" in answer.text
    assert "room here for 3 visitors" in answer.text
    assert answer.headers["Retry-After"] == "20"
    assert len(taken) == 3
    for kernel, socket in zip(taken, sockets, strict=True):
        socket.close()
        leave(server, kernel)
    wait_until(lambda: leave(server, visit(server)[1]).status_code == 204)


@pytest.mark.parametrize("destination", ["image", "iframe", "empty"])
def test_a_page_of_another_site_starts_no_kernel(server, destination):
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": destination}
    answer, kernel = visit(server, **headers)
    assert answer.status_code == 403
    assert kernel is None


def test_a_link_on_another_site_leads_here(server):
    answer, kernel = visit(server, **{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "document"})
    assert answer.status_code == 200
    leave(server, kernel)


@pytest.mark.parametrize("query", ["?template=doesnotexist", "?theme=dark", "?template=../../etc"])
def test_a_visitor_chooses_neither_template_nor_theme(server, query):
    answer, kernel = visit(server, query)
    assert answer.status_code == 200
    assert 'data-jp-theme-light="false"' not in answer.text
    leave(server, kernel)


def test_nothing_but_the_page_is_served_and_no_other_page_may_frame_it(server):
    for name in ("private.png", "small.ipynb", "../small.ipynb", "log"):
        assert requests.get(f"http://{server.host}/voila/files/{name}", timeout=10).status_code in (403, 404)
    answer, kernel = visit(server)
    assert "frame-ancestors 'self'" in answer.headers["Content-Security-Policy"]
    leave(server, kernel)


def test_who_serves_it_reads_the_address_to_type_and_who_can(server):
    printed = server.log.read_text()
    assert re.search(
        rf"The drawing pad is at http://[\w.-]+:{server.port}/\. Everybody in this network can open it, 3 at the",
        printed,
    )
    assert "█" in printed  # the code for phones
