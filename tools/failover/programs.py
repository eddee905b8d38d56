"""What the demonstration runs: etcd from the system, PostgreSQL as the tests find it, Patroni in a folder of its own.

PostgreSQL refuses to run as root, so a root's demonstration runs all three as nobody, whose Python must not be one
under root's home; what lies there otherwise is copied into the temporary directory.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.postgres import programs as postgres_programs

ROOT = Path(__file__).parents[2]
PATRONI = "4.1.5"
ETCD_PACKAGE = "etcd-server"
OLDEST_PYTHON = (3, 9)


class Missing(Exception):
    """Something the demonstration needs is not there and cannot be fetched; says what to do."""


@dataclass(frozen=True, slots=True)
class Programs:
    """`identity`: for Popen, whom the programs run as (nothing: as ourselves). `patroni`: its command, `modules`: the
    folder that it is in."""

    etcd: str
    postgres: Path
    patroni: Sequence[str]
    modules: Path
    identity: dict[str, Any]


def find(home: Path) -> Programs:
    """Find or fetch all of them; `home` is the temporary directory. Raises `Missing`."""
    identity: dict[str, Any] = {}
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        identity = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        os.chown(home, nobody.pw_uid, nobody.pw_gid)
    home.chmod(0o755)
    python = _python(identity)
    return Programs(
        etcd=_etcd(),
        postgres=_postgres(home, identity),
        patroni=(python, "-m", "patroni"),
        modules=_modules(home, python, identity),
        identity=identity,
    )


def _etcd() -> str:
    found = shutil.which("etcd")
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"installing {ETCD_PACKAGE}", flush=True)
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (
            ["apt-get", "update", "-qq"],
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", ETCD_PACKAGE],
        ):
            done = subprocess.run(command, env=quiet, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise Missing(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
        found = shutil.which("etcd")
    if found is None:
        raise Missing(f"etcd is not installed; on Debian, as root: apt-get install {ETCD_PACKAGE}")
    return found


def _python(identity: dict[str, Any]) -> str:
    """A Python that the chosen user can run: the one under this environment, else the system's."""
    ours = getattr(sys, "_base_executable", sys.executable)
    told = f"import sys; sys.exit(sys.version_info < {OLDEST_PYTHON})"
    for python in (ours, *(f"{folder}/python3" for folder in ("/usr/local/bin", "/usr/bin"))):
        if _runs([python, "-c", told], identity):
            return str(python)
    raise Missing("no Python that an ordinary user can run; on Debian, as root: apt-get install python3")


def _modules(home: Path, python: str, identity: dict[str, Any]) -> Path:
    """The folder with Patroni in it, made once for this Python."""
    told = "import sys; print('{}-{}'.format(sys.implementation.cache_tag, sys.platform))"
    tag = subprocess.run([python, "-c", told], capture_output=True, text=True, check=True).stdout.strip()
    kept = ROOT / ".tools" / f"patroni-{PATRONI}-{tag}"
    if not kept.exists():
        print(f"fetching Patroni {PATRONI} into {kept.relative_to(ROOT)}", flush=True)
        fresh = kept.with_name(kept.name + ".unfinished")
        shutil.rmtree(fresh, ignore_errors=True)
        pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-input"]
        wanted = ["--target", str(fresh), f"patroni[etcd3,psycopg3]=={PATRONI}"]
        # A Python's own rule against being changed by pip is about its own folder, not about a target.
        free = {**os.environ, "PIP_REQUIRE_VIRTUALENV": "0", "PIP_USER": "0", "PIP_ROOT_USER_ACTION": "ignore"}
        done = subprocess.run([*pip, *wanted], env=free, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Missing(f"pip could not fetch Patroni:\n{done.stderr}")
        fresh.rename(kept)
    if not identity:
        return kept
    return Path(shutil.copytree(kept, home / "patroni"))


def _postgres(home: Path, identity: dict[str, Any]) -> Path:
    folder = postgres_programs()
    if _runs([folder / "postgres", "--version"], identity):
        return folder
    prefix = folder.parent
    for path in (prefix, *prefix.parent.parent.glob(prefix.parent.name + ".libs")):
        shutil.copytree(path, home / "postgres" / path.relative_to(prefix.parent.parent), symlinks=True)
    return home / "postgres" / folder.relative_to(prefix.parent.parent)


def _runs(command: Sequence[object], identity: dict[str, Any]) -> bool:
    try:
        done = subprocess.run([str(each) for each in command], cwd="/", capture_output=True, check=False, **identity)
    except OSError:
        return False
    return done.returncode == 0
