"""`health`: is the server alive? For health checks of containers: one request, an exit code."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from urllib import request

_TIMEOUT_S = 4
# The server is on this machine; a proxy from the environment is for other things.
_OPENER = request.build_opener(request.ProxyHandler({}))


def register(nouns: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `health`."""
    health = nouns.add_parser(
        "health",
        help="exit with 0 if the server is alive, else with 1",
        description="Ask the server whether it is alive (/healthz): exit with 0 if so, else with 1. It is alive while "
        "it starts and migrates, and while the database is away; /readyz says whether to send it work.",
    )
    health.add_argument("--url", help="address of the server (default: MAINSPRING_URL, credentials.json, the settings)")
    health.add_argument("--data", help="data directory of the server (./mainspring-data)")
    health.set_defaults(run=_health)


def _health(args: argparse.Namespace) -> int:
    url = (args.url or os.environ.get("MAINSPRING_URL") or _address(args.data)).rstrip("/")
    try:
        if not url.startswith(("http://", "https://")):
            raise ValueError("not an http(s) address")
        with _OPENER.open(url + "/healthz", timeout=_TIMEOUT_S):
            print(f"alive at {url}")
            return 0
    except (OSError, ValueError) as failure:
        print(f"mainspring: nobody alive at {url}: {getattr(failure, 'reason', failure)}", file=sys.stderr)
        return 1


def _address(data: str | None) -> str:
    """Where the server of this machine is, by what it wrote down when it started, else by its settings."""
    from mainspring.doors.sockets import url_of
    from mainspring.keyring import read_credentials
    from mainspring.settings import from_process

    settings = from_process({"DATA": data})
    kept = read_credentials(Path(settings.data))
    return kept.url if kept is not None else url_of(*settings.binds[0])
