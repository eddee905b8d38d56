"""Makes the environment in .venv from the lock file, or sees within a blink that it is ready.

Needs nothing but Python and pip, asks nothing, and may be run at any time: the stamp in .venv says from which lock
file, project file, Python and folder it was made. It parses on Python 3.6, so that an old one gets a sentence
instead of a syntax error. The user's pip configuration (indexes, proxies, certificates) is what pip obeys here too.
"""

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time

OLDEST = (3, 11)
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
VENV_PYTHON = os.path.join(VENV, "bin", "python")
STAMP = os.path.join(VENV, ".ready")
UNFINISHED = os.path.join(VENV, ".unfinished")
TOOLS = os.path.join(ROOT, ".tools")
LOG = os.path.join(TOOLS, "setup.log")
LOCK = os.path.join(ROOT, "constraints.txt")


def main() -> int:
    """Leave a ready environment behind and return 0, or say what is missing and return 1."""
    if sys.version_info < OLDEST:
        return use_a_newer_python()
    key = wanted_key()
    if is_ready(key):
        return 0
    started = time.monotonic()
    try:
        os.makedirs(TOOLS, exist_ok=True)
        with open(os.path.join(TOOLS, "setup.lock"), "w") as lock:
            take(lock.fileno())
            if not is_ready(key):
                write(LOG, "")
                make_ready(key)
    except KeyboardInterrupt:
        say("interrupted; the next run starts over")
        return 130
    except PermissionError as error:
        say("{} belongs to another user; remove .venv and .tools, or run as that user".format(error.filename))
        return 1
    except Failed as failure:
        say(str(failure))
        return 1
    say("ready in {:.0f} s".format(time.monotonic() - started))
    return 0


class Failed(Exception):
    """A step that did not work, in words for the person who ran it."""


def say(line: str) -> None:
    """Print one line of progress at once, also into a pipe."""
    print("[setup] " + line, flush=True)


def take(lock: int) -> None:
    """Wait until no other run in this checkout is setting up; the lock is held until its file is closed."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        say("waiting for another run that is setting up this checkout")
        fcntl.flock(lock, fcntl.LOCK_EX)


def use_a_newer_python() -> int:
    """Start again under a newer Python of this machine; without one, say which is needed."""
    for minor in range(20, OLDEST[1] - 1, -1):
        found = shutil.which("python3.{}".format(minor))
        if found and subprocess.call([found, "-c", ""], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0:
            return subprocess.call([found] + sys.argv)  # noqa: RUF005 - unpacking in a list is newer than some Pythons
    say("Mainspring needs Python {}.{} or newer; {} is {}.".format(*OLDEST, sys.executable, platform.python_version()))
    say("Install one, or name it: make PYTHON=/path/to/python3.12 ...")
    return 1


def wanted_key() -> str:
    """Name everything that the environment depends on; another value means it has to be made again."""
    digest = hashlib.sha256()
    for path in (LOCK, os.path.join(ROOT, "pyproject.toml")):
        with open(path, "rb") as file:
            digest.update(file.read())
    return "\n".join([digest.hexdigest(), platform.python_version(), VENV])


def is_ready(key: str) -> bool:
    """Say whether the environment was made from exactly this."""
    return os.path.exists(VENV_PYTHON) and read(STAMP) == key


def read(path: str) -> str:
    """Return a small text file, or nothing when there is none."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""


def write(path: str, text: str) -> None:
    """Write a small text file."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def make_ready(key: str) -> None:
    """Create or update the environment, and stamp it last."""
    with open(LOCK, encoding="utf-8") as file:
        packages = sum(1 for line in file if "==" in line)
    if can_be_updated():
        say("1/3 updating .venv (Python {})".format(platform.python_version()))
    else:
        say("1/3 creating .venv (Python {})".format(platform.python_version()))
        create()
    write(UNFINISHED, "")
    say("2/3 installing {} locked packages (a minute or so the first time)".format(packages))
    pip(["-r", LOCK, "--require-hashes"], packages)
    say("3/3 installing Mainspring itself, editable")
    pip(["--no-deps", "--no-build-isolation", "-e", ROOT], 0)
    os.remove(UNFINISHED)
    write(STAMP, key)


def can_be_updated() -> bool:
    """Say whether .venv is whole, from this Python and in its place, so that pip can bring it up to date."""
    stamp = read(STAMP).split("\n")
    moved = len(stamp) == 3 and stamp[2] != VENV
    if moved or os.path.exists(UNFINISHED) or not os.path.exists(VENV_PYTHON):
        return False
    probe = "import pip, platform; print(platform.python_version())"
    answer = subprocess.run([VENV_PYTHON, "-c", probe], check=False, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return answer.returncode == 0 and answer.stdout.decode().strip() == platform.python_version()


def create() -> None:
    """Make an empty .venv with pip in it: by venv, or by virtualenv where the system's venv has no ensurepip."""
    shutil.rmtree(VENV, ignore_errors=True)
    python = getattr(sys, "_base_executable", None) or sys.executable
    if run([python, "-m", "venv", VENV]) == 0:
        return
    shutil.rmtree(VENV, ignore_errors=True)
    say("    this Python has no ensurepip (Debian: python3-venv); fetching virtualenv into .tools instead")
    home = os.path.join(TOOLS, "virtualenv")
    if not os.path.isdir(home):
        fetched = run([python, "-m", "pip", "install", "--target", home, "virtualenv"], PIP_REQUIRE_VIRTUALENV="0")
        if fetched != 0:
            shutil.rmtree(home, ignore_errors=True)
            raise Failed(tail("neither venv nor virtualenv can be used; on Debian: apt-get install python3-venv"))
    data = os.path.join(TOOLS, "virtualenv-data")
    if run([python, "-m", "virtualenv", VENV], PYTHONPATH=home, VIRTUALENV_OVERRIDE_APP_DATA=data) != 0:
        raise Failed(tail("virtualenv could not create .venv"))


def pip(arguments: "list[str]", packages: int) -> None:
    """Install into .venv; tell how far it is in steps of 16 of `packages`."""
    command = [VENV_PYTHON, "-m", "pip", "install", "--progress-bar", "off", *arguments]
    seen = 0
    with open(LOG, "ab") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        assert process.stdout is not None
        try:
            for line in process.stdout:
                log.write(line)
                if line.startswith((b"Collecting ", b"Processing ", b"Requirement already satisfied")):
                    seen += 1
                    if packages and seen % 16 == 0:
                        say("    {} of {} found".format(seen, packages))
                elif packages and line.startswith(b"Installing collected"):
                    say("    unpacking")
        except BaseException:
            process.terminate()
            raise
        finally:
            process.wait()
    if process.returncode != 0:
        raise Failed(tail("pip could not install; is the package index of your pip configuration in reach?"))


def run(command: "list[str]", **extra: str) -> int:
    """Run one command with its output in the log; returns its exit code."""
    with open(LOG, "ab") as log:
        return subprocess.call(command, cwd=ROOT, env=environment(**extra), stdout=log, stderr=log)


def environment(**extra: str) -> "dict[str, str]":
    """Return the user's environment, less what would send packages elsewhere or make pip ask something."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    kept.update(PIP_USER="0", PIP_NO_INPUT="1", PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_ROOT_USER_ACTION="ignore")
    kept.update(extra)
    return kept


def tail(reason: str) -> str:
    """Return the reason with the last lines of the log above it."""
    lines = read(LOG).splitlines()[-15:]
    return "\n".join(["failed:", *lines, "[setup] " + reason, "[setup] the whole log: " + os.path.relpath(LOG, ROOT)])


if __name__ == "__main__":
    sys.exit(main())
