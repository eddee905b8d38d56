"""The errors of this door: those of the protocol, and those of the application with their fixed beginnings."""

from __future__ import annotations

from typing import Literal

import msgspec

from mainspring.core.errors import (
    Conflict,
    Forbidden,
    Invalid,
    LeaseLost,
    LimitExceeded,
    NotFound,
    Refused,
    TooLarge,
    Unauthorized,
    Unavailable,
)

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL = -32603
TOO_MANY_SUBSCRIPTIONS = -32006
REQUEST_TOO_BIG = -32007
RESPONSE_TOO_BIG = -32008
SERVER_BUSY = -32009
BATCH_TOO_BIG = -32010
BATCH_ANSWER_TOO_BIG = -32011

Kind = Literal[
    "parse",
    "serialization",
    "io",
    "permission",
    "database",
    "agent",
    "not_found",
    "uuid",
    "config",
    "input",
    "other",
]

# Kind → (code, what every message of it begins with).
KINDS: dict[Kind, tuple[int, str]] = {
    "parse": (101, "Parse error: "),
    "serialization": (101, "Serialization error: "),
    "io": (101, "IO error: "),
    "permission": (102, "Permission denied: "),
    "database": (103, "Database error: "),
    "agent": (104, "Unable to connect agent: "),
    "not_found": (105, "Not found in database: "),
    "uuid": (106, "UUID not found: "),
    "config": (107, "Config not found: "),
    "input": (108, "Invalid input: "),
    "other": (999, "Other error: "),
}
BAD_CREDENTIALS = "Invalid credentials"


class RpcError(Exception):
    """What a call is answered with instead of a result. `data` is left out when there is none."""

    def __init__(self, code: int, message: str, data: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data

    @property
    def encoded(self) -> bytes:
        """The JSON of the member `error`."""
        shown: dict[str, object] = {"code": self.code, "message": self.message}
        if self.data is not None:
            shown["data"] = self.data
        return msgspec.json.encode(shown)


def wrong(kind: Kind, detail: str) -> RpcError:
    """An error of the application."""
    code, beginning = KINDS[kind]
    return RpcError(code, beginning + detail)


def denied(detail: str) -> RpcError:
    """A valid credential without the right; the text says so twice, as clients know it."""
    return wrong("permission", f"Permission Denied: {detail}")


def invalid_params(detail: str) -> RpcError:
    """Parameters that cannot be read; `detail` is the error's data."""
    return RpcError(INVALID_PARAMS, "Invalid params", detail)


def too_big(code: int, message: str, limit: int) -> RpcError:
    """Something over a limit."""
    return RpcError(code, message, f"Exceeded max limit of {limit}")


def of_refusal(refused: Refused) -> RpcError:
    """A refusal of the core, in the codes of this door."""
    said = f"{refused.message}. {refused.hint}" if refused.hint else refused.message
    match refused:
        case Unavailable():
            return wrong("database", said)
        case NotFound():
            return wrong("not_found", said)
        case Unauthorized():
            return wrong("permission", BAD_CREDENTIALS)
        case Forbidden():
            return denied(said)
        case Invalid() | Conflict() | TooLarge() | LeaseLost():
            return wrong("input", said)
        case LimitExceeded(retry_after_s=seconds):
            wait = msgspec.json.encode({"retry_after": seconds}).decode()
            return RpcError(SERVER_BUSY, f"Server is busy: {refused.message}", wait)
        case _:
            return wrong("other", said)
