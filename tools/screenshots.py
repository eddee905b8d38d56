"""`make screenshots`: a picture of every screen of the console, in both languages and both themes.

A server of its own is filled, photographed and thrown away. The pictures go to build/screenshots/<language>-<theme>/;
with --readme those that README.md shows are written to docs/images/ too.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib import request

from playwright.sync_api import sync_playwright

from tools.stage import AGENT, Stage

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "build" / "screenshots"
SHOWN = ("overview", "schedule", "run")
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
KEY = "key-of-the-screenshots-0123456789"
SUPER = "superkey12345678:secret-of-the-super-token-000000"
LIVED_S = 190
LANGUAGES = {"en": "en-GB", "zh": "zh-CN"}


class Target(BaseHTTPRequestHandler):
    """Answers everything; /fail with 500."""

    def do_POST(self) -> None:
        """Answer."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        failing = self.path == "/fail"
        body = json.dumps({"error": "out of stock"} if failing else {"taken": True}).encode()
        self.send_response(500 if failing else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def target() -> Iterator[str]:
    """A target in this process; its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Target)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()


@contextlib.contextmanager
def process(folder: Path, *command: str, **settings: str) -> Iterator[None]:
    """One of our programs, stopped at the end."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAINSPRING_")}
    with (folder / "log").open("a") as log:
        started = subprocess.Popen(
            [sys.executable, "-m", "mainspring", *command],
            cwd=folder, env=environment | settings, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield
    finally:
        started.send_signal(signal.SIGTERM)
        started.wait(60)


def address(folder: Path) -> str:
    """Where the server listens, once it is ready."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with contextlib.suppress(OSError, ValueError):
            url = str(json.loads((folder / "mainspring-data" / "credentials.json").read_text())["url"])
            request.urlopen(url + "/readyz", timeout=5).close()
            return url
        time.sleep(0.1)
    raise TimeoutError((folder / "log").read_text())


def photograph(stage: Stage, readme: bool) -> int:
    """All pictures; how many."""
    program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
    assert program is not None, "there is no Chromium here: apt-get install chromium fonts-noto-cjk"
    count = 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for language, locale in LANGUAGES.items():
            for theme in ("light", "dark"):
                folder = OUT / f"{language}-{theme}"
                folder.mkdir(parents=True, exist_ok=True)
                context = browser.new_context(
                    locale=locale,
                    color_scheme="dark" if theme == "dark" else "light",
                    viewport={"width": 1280, "height": 860},
                )
                page = context.new_page()
                page.goto(f"{stage.url}/console")
                page.screenshot(path=folder / "sign-in.png")
                page.fill("[name=credential]", KEY)
                page.click("button.main")
                page.wait_for_selector("#live")
                for screen in stage.screens():
                    page.goto(f"{stage.url}/console{screen.path}")
                    page.wait_for_timeout(250)
                    page.screenshot(path=folder / f"{screen.name}.png", full_page=True)
                    count += 1
                    if readme and (language, theme) == ("en", "light") and screen.name in SHOWN:
                        page.screenshot(path=ROOT / "docs" / "images" / f"{screen.name}.png")
                context.close()
        browser.close()
    return count


def main() -> int:
    """Everything, from an empty folder."""
    readme = "--readme" in sys.argv
    (ROOT / "docs" / "images").mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="mainspring-screenshots-"))
    settings = {
        "MAINSPRING_API_KEY": KEY,
        "MAINSPRING_SUPER_TOKEN": SUPER,
        "MAINSPRING_ALLOW_TARGETS": "127.0.0.0/8",
    }
    try:
        with target() as sink, process(folder, "serve", "--port", "0", **settings):
            url = address(folder)
            flags = ("--server", url, "--token", SUPER, "--uuid", AGENT, "--allow", "ping,tcp_ping,execute,version")
            with process(folder, "agent", *flags):
                print(f"[screenshots] filling {url}", flush=True)
                stage = Stage(url, KEY, SUPER, sink)
                stage.build()
                stage.employ()
                print(f"[screenshots] waiting {LIVED_S} s, so that there is something in the charts", flush=True)
                time.sleep(LIVED_S)
                count = photograph(stage, readme)
        print(f"[screenshots] {count} pictures in {OUT.relative_to(ROOT)}")
        return 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
