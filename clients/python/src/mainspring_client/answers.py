"""From what came over the wire to a result or an error. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from mainspring_client.errors import BY_CODE, BadAnswer, Internal, RateLimited, Refused

_METADATA = "_metadata"


class Result(dict[str, Any]):
    """A result: a dict, and what the server said about the call as `_metadata` (attribute, `get` and `[]` alike).

    It is not among the items, so that a result equals and serializes as what the server sent.
    """

    __slots__ = ("_metadata",)

    def __init__(self, data: Mapping[str, Any], metadata: Mapping[str, Any] | None = None) -> None:
        super().__init__(data)
        self._metadata = dict(metadata or {})

    def __missing__(self, name: str) -> Any:
        if name == _METADATA:
            return self._metadata
        raise KeyError(name)

    def get(self, name: str, default: Any = None) -> Any:
        """As of any dict, and the metadata under `_metadata`."""
        return super().get(name, self._metadata if name == _METADATA else default)

    @property
    def ok(self) -> bool:
        """True: a call that fails raises."""
        return True


def read(status: int, headers: Mapping[str, str], body: bytes, now: float, *, bare: bool = False) -> Result:
    """The result in an answer, or its refusal raised. `now`: Unix seconds, for a `Retry-After` that is a date.

    `bare`: a result without the envelope. Raises `Refused` by its code, `BadAnswer` when this is not the API.
    """
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    if bare and status == 200 and isinstance(answer, dict):
        return Result(answer)
    if isinstance(answer, dict):
        data, error, metadata = answer.get("data"), answer.get("error"), answer.get("metadata")
        if status == 200 and isinstance(data, dict):
            return Result(data, metadata if isinstance(metadata, dict) else None)
        if isinstance(error, dict) and isinstance(error.get("code"), str):
            raise _refused(status, headers, error, metadata if isinstance(metadata, dict) else {}, now)
    if status == 429:
        raise RateLimited(
            "something before the server refused the request",
            status=status,
            retryable=True,
            retry_after=retry_after(headers, now),
        )
    if status >= 500:
        raise Internal(
            f"status {status} without a reason",
            status=status,
            retryable=True,
            retry_after=retry_after(headers, now),
            hint="Something between here and the server may be down.",
        )
    raise BadAnswer(f"status {status} and no answer of a Mainspring server; is the address right?", status)


def _refused(
    status: int, headers: Mapping[str, str], error: dict[str, Any], metadata: dict[str, Any], now: float
) -> Refused:
    code = error["code"]
    return BY_CODE.get(code, Refused)(
        str(error.get("message", "")),
        code=code,
        hint=str(error.get("hint") or ""),
        field=error.get("field"),
        status=status,
        retryable=error.get("retryable") is True,
        retry_after=retry_after(headers, now),
        request_id=metadata.get("request_id"),
        metadata=metadata,
    )


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds until the server wants to be asked again: RFC 9110 section 10.2.3, as seconds or as a date.

    None when it does not say, or says what cannot be read.
    """
    said = headers.get("retry-after")
    if said is None:
        return None
    try:
        return (
            max(0.0, float(said)) if said.strip().isdigit() else max(0.0, parsedate_to_datetime(said).timestamp() - now)
        )
    except (ValueError, OverflowError):
        return None
