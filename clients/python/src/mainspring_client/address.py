"""Which server, and with which key: arguments, environment, the files that a server or `activate` wrote."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

DEFAULT_URL = "http://127.0.0.1:8080"


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server is (an origin, and the path under which a proxy serves it), and the key, if one was found."""

    url: str
    key: str | None = field(repr=False)


def find(url: str | None, key: str | None, environ: Mapping[str, str]) -> Address:
    """Look for what is not given, in this order; the first to say something wins, for each of the two alone.

    1. the arguments; 2. `MAINSPRING_URL` and `MAINSPRING_API_KEY`; 3. `INFRAI_BASE_URL` and `INFRAI_API_KEY`;
    4. `credentials.json` in the server's data directory (`MAINSPRING_DATA`, else ./mainspring-data);
    5. `~/.mainspring/credentials`; 6. http://127.0.0.1:8080. Raises `ValueError` for what is no http(s) address.
    """
    url = url or environ.get("MAINSPRING_URL") or environ.get("INFRAI_BASE_URL")
    key = key or environ.get("MAINSPRING_API_KEY") or environ.get("INFRAI_API_KEY")
    data = environ.get("MAINSPRING_DATA") or "mainspring-data"
    for path in (Path(data) / "credentials.json", credentials_path()):
        if url and key:
            break
        kept = _read(path)
        url, key = url or kept.get("url"), key or kept.get("api_key")
    return Address(tidy(url or DEFAULT_URL), key)


def tidy(url: str) -> str:
    """The address without what is the client's to add: the slash at its end, and `/v1`."""
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"{url!r} is not an http(s) address; write it like {DEFAULT_URL}")
    return url.rstrip("/").removesuffix("/v1")


def credentials_path() -> Path:
    """Where `activate` keeps what it got."""
    return Path("~/.mainspring/credentials").expanduser()


def _read(path: Path) -> dict[str, str]:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {name: value for name, value in kept.items() if isinstance(value, str)} if isinstance(kept, dict) else {}


def keep(address: Address) -> Path:
    """Write the address to `~/.mainspring/credentials`, for this user's eyes only; whole or not at all."""
    path = credentials_path()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    made, name = tempfile.mkstemp(dir=path.parent)  # with mode 0600, whatever the umask
    try:
        with os.fdopen(made, "w", encoding="utf-8") as file:
            file.write(json.dumps({"url": address.url, "api_key": address.key}, indent=2) + "\n")
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
    return path
