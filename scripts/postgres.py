"""The tests' database server. `python -m scripts.postgres` says where it is, and tries to get one if none is there."""

import os
import shutil
from pathlib import Path

from .packages import install

HOW = "install PostgreSQL (Debian's package postgresql)"


def find():
    """The folder with PostgreSQL's programs, of the newest version; None if there is none, or nobody to run it as."""
    found = [Path(path).parent for path in [shutil.which("pg_ctl")] if path]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    found = [folder for folder in found if all((folder / program).exists() for program in ("initdb", "pg_ctl"))]
    return found[-1] if found and (os.name == "nt" or os.geteuid() != 0 or user()) else None


def user():
    """Whom to run the server as: it refuses root. None for whoever runs this."""
    import pwd

    try:
        return pwd.getpwnam("postgres").pw_name if os.geteuid() == 0 else None
    except KeyError:
        return None


if __name__ == "__main__":
    if find() is None:
        install("postgresql")
    found = find()
    print(f"The tests of shared searches use {found}." if found else f"They will be skipped; to run them, {HOW}.")
