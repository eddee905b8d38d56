"""What is installed from the wheel is whole: it starts, answers and stops without the checkout."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
PACKAGES = sorted((ROOT / "src").glob("mainspring*"))
START_S = 30
STOP_S = 40  # the server gives what is in flight 30 s


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel with the locked hatchling, without network."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into an environment of its own and return that environment's bin folder.

    The packages it depends on are lent by this environment through a path file. An editable install is itself a path
    file, and those are not followed from a path file, so the checkout stays out of reach.
    """
    folder = tmp_path_factory.mktemp("clean")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel]
    subprocess.run(install, check=True, capture_output=True)
    [site] = folder.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


@pytest.fixture
def clean_environment() -> dict[str, str]:
    """Return the environment variables without those that would lead a Python elsewhere or configure a server."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MAINSPRING_"))}


def test_the_wheel_carries_every_file_of_the_package(wheel: Path) -> None:
    files = [path for package in PACKAGES for path in package.rglob("*") if path.is_file()]
    ours = {path.relative_to(ROOT / "src").as_posix() for path in files if path.suffix != ".pyc"}
    with zipfile.ZipFile(wheel) as archive:
        carried = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert carried == ours
    assert "mainspring/py.typed" in carried
    assert {"mainspring_agent/py.typed", "mainspring_agent/agent.py"} <= carried
    assert [name for name in carried if name.startswith("mainspring/store/schema/sqlite/") and name.endswith(".sql")]
    assert [name for name in carried if name.startswith("mainspring/store/sql/") and name.endswith(".sql")]


def test_the_installed_package_is_the_one_that_runs(
    installed: Path, clean_environment: dict[str, str], tmp_path: Path
) -> None:
    script = "import mainspring; print(mainspring.__file__)"
    python = [installed / "python", "-c", script]
    answer = subprocess.run(
        python, cwd=tmp_path, env=clean_environment, check=True, capture_output=True, text=True
    ).stdout
    assert Path(answer.strip()).is_relative_to(installed.parent)
    version = subprocess.run(
        [installed / "mainspring", "--version"], env=clean_environment, check=True, capture_output=True, text=True
    ).stdout
    assert (ROOT / "src/mainspring/__init__.py").read_text().count(f'"{version.split()[-1]}"') == 1


@pytest.fixture
def server(
    installed: Path, clean_environment: dict[str, str], tmp_path: Path
) -> Iterator[tuple[subprocess.Popen[bytes], int, Path]]:
    """Start the installed server on a free port; yields the process, the port and the file with its output."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path / "server.log"
    command = [
        installed / "mainspring",
        "serve",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--data",
        tmp_path / "data",
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=tmp_path, env=clean_environment, stdout=output, stderr=output)
    try:
        yield process, port, log
    finally:
        process.kill()
        process.wait()


def test_it_serves_and_stops_when_asked(server: tuple[subprocess.Popen[bytes], int, Path]) -> None:
    process, port, log = server
    assert wait_until_it_answers(process, f"http://127.0.0.1:{port}/healthz") == 200, log.read_text()
    process.send_signal(signal.SIGTERM)
    assert process.wait(STOP_S) == 0, log.read_text()


def wait_until_it_answers(process: subprocess.Popen[bytes], url: str) -> int | None:
    """Return the first status that the server answers, or None when it ends or says nothing for too long."""
    deadline = time.monotonic() + START_S
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with direct.open(url, timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as answer:
            return answer.code
        except OSError:
            time.sleep(0.05)
    return None
