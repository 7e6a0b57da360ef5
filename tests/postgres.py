"""A PostgreSQL server of the tests' own, in a temporary folder and on a free port."""

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

from scripts.postgres import HOW, find, user  # noqa: F401 - HOW is for those who use this


class Postgres:
    """A server with the database `course`: `start`, `stop`, and the `url` for Optuna."""

    def __init__(self):
        # Not in pytest's folder, which is closed to the user that the server runs as.
        self.folder, self.programs, self.user = Path(tempfile.mkdtemp(prefix="postgres-")), find(), user()
        if self.user:
            shutil.chown(self.folder, self.user)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.run("initdb", "-D", "data", "-U", "course", "-A", "trust", "--no-sync")
        self.start()
        self.make("course")

    def run(self, program, *arguments):
        command = [str(self.programs / program), *arguments]
        done = subprocess.run(command, cwd=self.folder, user=self.user, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr

    def start(self):
        options = f"-p {self.port} -h 127.0.0.1 -k {self.folder} -F"
        self.run("pg_ctl", "-D", "data", "-o", options, "-l", "log", "-w", "start")

    def stop(self):
        self.run("pg_ctl", "-D", "data", "-m", "immediate", "-w", "stop")

    def make(self, name):
        """A new, empty database; returns its URL."""
        self.run("psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", "course", "-d", "template1", "-c",
                 f"create database {name}")  # fmt: skip
        return f"postgresql+psycopg://course@127.0.0.1:{self.port}/{name}"

    def remove(self):
        if os.path.exists(self.folder / "data" / "postmaster.pid"):
            self.stop()
        shutil.rmtree(self.folder)
