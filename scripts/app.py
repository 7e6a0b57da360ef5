"""The drawing pad as a web page: notebooks/app.ipynb, served by Voilà to as many visitors as there is memory for.

    python -m scripts.app                      on this machine alone
    python -m scripts.app --Voila.ip=0.0.0.0   for everybody in the network

Each visitor has a kernel, a process of its own. What keeps the machine alive when there are many of them, and when one
of them means harm, is here; Voilà's own options work as well.
"""

import asyncio
import socket
import time
from pathlib import Path

import psutil
import segno
from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from tornado.ioloop import IOLoop
from tornado.web import HTTPError
from traitlets import Float, Integer, default
from traitlets.config import Config
from voila.app import Voila
from voila.tornado.handler import TornadoVoilaHandler
from voila.utils import ENV_VARIABLE

NOTEBOOK = Path(__file__).resolve().parent.parent / "notebooks" / "app.ipynb"
VISITOR = 1_000_000_000  # bytes of memory that a visitor's kernel takes, on the safe side

SETTINGS = Config(
    {
        "Voila": {
            "notebook_path": str(NOTEBOOK),
            "kernel_websocket_connection_class": "scripts.app.Connection",
            "tornado_settings": {
                # A page that is closed or reloaded asks for the end of its kernel, and cannot send the token that would
                # be wanted otherwise. There is no login that another page could abuse, and kernels have random names.
                "disable_check_xsrf": True,
                # Everything comes from this server. Voilà's template asks a public one for a font of icons that the
                # page does not use; with no way out the browser would wait for it, so it is told not to ask.
                "headers": {
                    "Content-Security-Policy": "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; "
                    "connect-src 'self' ws: wss:; frame-ancestors 'self'"
                },
            },
        },
        "VoilaConfiguration": {
            "multi_kernel_manager_class": "scripts.app.Kernels",
            # The page stands ready before somebody asks for it, and the next one is made ready then.
            "preheat_kernel": True,
            "default_pool_size": 1,
            # A visitor chooses nothing and is given nothing but the page.
            "allow_template_override": "NO",
            "allow_theme_override": "NO",
            "file_allowlist": [],
        },
        "MappingKernelManager": {
            # A page that nobody has touched for ten minutes gives its memory back.
            "cull_idle_timeout": 600,
            "cull_interval": 30,
            "cull_connected": True,
        },
    }
)

FULL = """<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="20">
<meta name="viewport" content="width=device-width"><title>All places are taken</title>
<style>
:root { color-scheme: light dark }
body { font: 1.2rem/1.5 system-ui, sans-serif; margin: 3rem auto; padding: 0 1rem; max-width: 32rem }
</style>
<h1>All places are taken</h1>
<p>There is room here for VISITORS visitors at the same time. Try again in a minute; this page does so by itself.</p>
</html>"""


class Full(HTTPError):
    """There is no memory for one more kernel."""

    def __init__(self):
        super().__init__(503, "all places are taken")


class Kernels(AsyncMappingKernelManager):
    """The visitors' kernels, no more than there is room for, and none that was left for long."""

    patience = Float(120, config=True, help="Seconds until the kernel of a page that has gone is shut down")
    starting = 0

    def __init__(self, **options):
        super().__init__(**options)
        self.alone = {}  # since when no page is connected to a kernel

    def has_room(self):
        taken = len(self.list_kernel_ids()) + self.starting
        return taken < self.parent.visitors and free_memory() > VISITOR

    async def start_kernel(self, **options):
        if options["env"].get(ENV_VARIABLE.VOILA_PREHEAT) == "True":  # of the page that is to stand ready
            while not self.has_room():
                await asyncio.sleep(1)
        elif not self.has_room():
            raise Full
        self.starting += 1
        try:
            return await super().start_kernel(**options)
        finally:
            self.starting -= 1

    def notify_connect(self, kernel_id):
        super().notify_connect(kernel_id)
        self.alone.pop(kernel_id, None)

    async def cull_kernel_if_idle(self, kernel_id):
        """Asked at intervals about every kernel but the one that stands ready. A phone says nothing when its page is
        swiped away, and may come back when it has lost the network; some pages never connect."""
        if not self.kernel_model(kernel_id)["connections"]:
            since = self.alone.setdefault(kernel_id, time.monotonic())
            if time.monotonic() - since > self.patience:
                del self.alone[kernel_id]
                await self.shutdown_kernel(kernel_id)
                return
        await super().cull_kernel_if_idle(kernel_id)


class Connection(ZMQChannelsWebsocketConnection):
    """A page's connection to its kernel. A message tells in its first eight bytes how many numbers follow, and the
    server would believe it: 2^64 of them, it would count for ever. The older protocol is read in the same way."""

    async def prepare(self):
        offered = self.websocket_handler.request.headers.get("Sec-WebSocket-Protocol", "")
        if "v1.kernel.websocket.jupyter.org" not in map(str.strip, offered.split(",")):
            raise HTTPError(400)
        await super().prepare()

    def handle_incoming_message(self, incoming_msg):
        if is_message(incoming_msg):
            super().handle_incoming_message(incoming_msg)
        else:
            self.websocket_handler.close(1007, "not a message of Jupyter's")

    def handle_outgoing_message(self, stream, outgoing_msg):
        """Keep back what tells of an error: it holds the paths of this machine."""
        _, parts = self.session.feed_identities(outgoing_msg)
        if self.session.unpack(parts[1])["msg_type"] != "error":
            super().handle_outgoing_message(stream, outgoing_msg)


def is_message(raw):
    """Whether the bytes have the form of Jupyter's protocol v1: where each of some parts begins, and where the last one
    ends. There are a channel, four parts and buffers, of which a widget of this page has a few."""
    return isinstance(raw, bytes) and 6 <= int.from_bytes(raw[:8], "little") <= min(100, len(raw) // 8 - 1)


class Page(TornadoVoilaHandler):
    """The page with the pad. When all places are taken, it says so."""

    async def get(self, path=None):
        fetch = self.request.headers
        if fetch.get("Sec-Fetch-Site") == "cross-site" and fetch.get("Sec-Fetch-Dest") != "document":
            raise HTTPError(403)  # another site's page wants it as a picture or in a frame: each time a kernel
        standing_ready = any(page.done() for page in self.kernel_manager._pools.get(self.notebook_path, []))
        try:
            if not standing_ready and not self.kernel_manager.has_room():
                raise Full
            await super().get(path)
        except Full:
            self.set_status(503)
            self.set_header("Retry-After", "20")
            self.finish(FULL.replace("VISITORS", str(self.kernel_manager.parent.visitors)))


class App(Voila):
    """Voilà for this one page."""

    name = "app"
    visitors = Integer(min=1, config=True, help="Kernels at the same time, with one that stands ready")

    @default("visitors")
    def _as_memory_allows(self):
        return max(1, free_memory() // VISITOR - 1)

    def initialize(self, argv=None):
        self.update_config(SETTINGS)
        super().initialize(argv)

    def init_handlers(self):
        return [
            (pattern, Page if handler is TornadoVoilaHandler else handler, *options)
            for pattern, handler, *options in super().init_handlers()
        ]

    def start(self):
        asyncio.set_event_loop(asyncio.new_event_loop())
        IOLoop.current().add_callback(self.announce)  # once it listens
        super().start()

    @property
    def display_url(self):
        """The address to type. A host's own name is of no use to a phone."""
        return self._url(own_address() if self.ip in ("", "0.0.0.0", "::") else self.ip)

    def announce(self):
        if self.ip in ("localhost", "127.0.0.1", "::1"):
            print(f"The drawing pad is at {self.display_url}, for this machine alone.", flush=True)
            return
        segno.make(self.display_url).terminal(compact=True)
        print(f"The drawing pad is at {self.display_url}. Everybody in this network can open it, "
              f"{self.visitors} at the same time.", flush=True)  # fmt: skip


def free_memory(group=Path("/sys/fs/cgroup")):
    """Bytes of memory that can still be taken: of the machine, or of the container if its limit is nearer."""
    free = psutil.virtual_memory().available
    try:
        limit, used = (int((group / name).read_text()) for name in ("memory.max", "memory.current"))
        kept = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())["inactive_file"]
    except (OSError, ValueError):  # no container, or one without a limit
        return free
    return min(free, limit - used + int(kept))  # files that are kept in memory give way


def own_address():
    """This machine's address in its network; nothing is sent to find out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address of nobody's, for examples
            return probe.getsockname()[0]
        except OSError:
            return socket.gethostname()


if __name__ == "__main__":
    App.launch_instance()
