"""Getting what the tests need from the system's packages, where that is possible without asking anybody."""

import os
import shutil
import signal
import subprocess
from contextlib import suppress


def install(package):
    """Try to install a package of Debian's or Ubuntu's, as root. Gives up where there is no network."""
    if not shutil.which("apt-get") or os.geteuid() != 0:
        return
    patience = ["-o", "Acquire::Retries=0", "-o", "Acquire::http::Timeout=10", "-o", "Acquire::https::Timeout=10"]
    if attempt(["apt-get", *patience, "-o", "APT::Update::Error-Mode=any", "update"], 60):
        attempt(["apt-get", *patience, "install", "-y", "--no-install-recommends", package], 600)


def attempt(command, seconds):
    """Run a command silently; after so many seconds, end it and what it started. Whether it went well."""
    settings = {"DEBIAN_FRONTEND": "noninteractive", "PLAYWRIGHT_DOWNLOAD_CONNECTION_TIMEOUT": "5000"}
    quiet = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    process = subprocess.Popen(command, env=os.environ | settings, start_new_session=True, **quiet)
    try:
        return process.wait(seconds) == 0
    except subprocess.TimeoutExpired:
        if os.name == "nt":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGTERM)  # a package manager cleans up before it goes
        with suppress(subprocess.TimeoutExpired):
            process.wait(60)
        return False
