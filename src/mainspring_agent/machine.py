"""What this machine says of itself: its public addresses, and what runs here."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import platform
import re
import socket
from importlib import metadata
from urllib.parse import urlsplit

import aiohttp

from mainspring_agent.web import text_at

TIMEOUT_S = 10.0
PROVIDERS = {"cloudflare": "https://cloudflare.com/cdn-cgi/trace", "ipinfo": "https://ipinfo.io/ip"}
_ADDRESS = re.compile(r"[0-9a-fA-F:.]{3,45}")


async def ip(provider: str) -> list[str | None]:
    """The public IPv4 and IPv6 addresses, as the provider sees them; None for one that this machine does not have."""
    url = PROVIDERS.get(provider, provider)
    return list(await asyncio.gather(_seen(url, socket.AF_INET), _seen(url, socket.AF_INET6)))


async def _seen(url: str, family: socket.AddressFamily) -> str | None:
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(urlsplit(url).hostname or "").version != (4 if family == socket.AF_INET else 6):
            return None
    try:
        text = await text_at(url, family, TIMEOUT_S)
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
        return None
    traced = re.search(r"(?m)^ip=(\S+)$", text)
    for word in _ADDRESS.findall(traced[1] if traced else text):
        try:
            return str(ipaddress.ip_address(word))
        except ValueError:
            continue
    return None


def version() -> dict[str, str]:
    """The build; what a program in Python does not have is empty."""
    try:
        number = metadata.version("mainspring")
    except metadata.PackageNotFoundError:
        number = ""
    return {
        "binary_type": "Agent",
        "cargo_version": number,
        "git_branch": "",
        "git_commit_sha": "",
        "git_commit_date": "",
        "git_commit_message": "",
        "build_time": "",
        "cargo_target_triple": f"{platform.machine()}-{platform.system().lower()}",
        "rustc_channel": "",
        "rustc_version": f"Python {platform.python_version()}",
        "rustc_commit_date": "",
        "rustc_commit_hash": "",
        "rustc_llvm_version": "",
    }
