"""Results that no server has taken yet, each a file of its own, so that neither a stop nor a crash loses one."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Any

import msgspec

_NAME = re.compile(r"[0-9]+-[0-9a-f]{16}\.json")


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """What is uploaded when a task has ended; `timestamp` in ms UTC."""

    task_id: int
    agent_uuid: str
    task_token: str
    timestamp: int
    success: bool
    error_message: str | None = None
    task_event_result: Any = None

    @property
    def key(self) -> tuple[int, str]:
        return self.task_id, self.task_token


class Journal:
    """The results for one server, oldest first. The folder is made when it is first needed, readable by nobody else."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.waiting: dict[tuple[int, str], Response] = {}
        for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
            if _NAME.fullmatch(path.name) and (found := _read(path)) is not None:
                self.waiting[found.key] = found

    def keep(self, response: Response) -> None:
        """On disk before it is sent."""
        self.waiting[response.key] = response
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path(response)
        fresh = path.with_suffix(".new")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(msgspec.json.encode(response))
        fresh.replace(path)

    def drop(self, response: Response) -> None:
        """The server has it, or will never take it."""
        self.waiting.pop(response.key, None)
        self._path(response).unlink(missing_ok=True)

    def _path(self, response: Response) -> Path:
        mark = hashlib.sha256(response.task_token.encode()).hexdigest()[:16]
        return self._folder / f"{response.task_id:019}-{mark}.json"


def folder_for(state: Path, server: str, agent_uuid: str) -> Path:
    """Where the results for a server wait."""
    return state / hashlib.sha256(f"{server} {agent_uuid}".encode()).hexdigest()[:16]


def _read(path: Path) -> Response | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Response)
    except (OSError, msgspec.DecodeError):
        # Half of a file that a crash has left: its task is reported as not answered by the server in time.
        return None
