"""What both clients are made of, apart from waiting: address, key, headers, the names of calls."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mainspring_client import address, clock, operations
from mainspring_client.address import Address
from mainspring_client.answers import Result
from mainspring_client.errors import NoKey, NotFound
from mainspring_client.operation import Operation, Request, build
from mainspring_client.retrying import Patience
from mainspring_client.version import __version__

AGENT = f"mainspring-client-python/{__version__}"


def _new_name() -> str:
    """A name for one call that nobody has used before: a repeat of the call, and nothing else, is the same call.

    The time in 48 bits, then 80 random bits: names made one after the other lie side by side in the server's index.
    """
    return f"{int(clock.wall() * 1000):012x}{secrets.token_hex(10)}"


class Session:
    """Looks for address and key when the first call needs them, so that a client can be made before either is there."""

    def __init__(self, api_key: str | None, base_url: str | None, patience: Patience) -> None:
        self._api_key = api_key
        self._base_url = base_url
        self._found: Address | None = None
        self.patience = patience

    @property
    def address(self) -> Address:
        """Which server, and with which key. Raises `ValueError` for an address that is none."""
        if self._found is None or self._found.key is None:
            self._found = address.find(self._base_url, self._api_key, os.environ)
        return self._found

    def request(self, operation: Operation[Any], given: Mapping[str, Any]) -> Request:
        """The request of one call, complete. Raises `NoKey`."""
        where = self.address
        request = build(operation, given, _new_name() if self.patience.retries else None)
        headers = {**request.headers, "User-Agent": AGENT, "Accept": "application/json"}
        if where.key is not None:
            headers["Authorization"] = f"Bearer {where.key}"
        elif not operation.public:
            raise NoKey(
                "no API key: give api_key=…, set MAINSPRING_API_KEY, or call activate() on a development server; "
                "the key of a server is in credentials.json in its data directory"
            )
        return replace(request, target=where.url + request.target, headers=headers)

    def adopt(self, activation: Mapping[str, Any], *, write: bool) -> None:
        """Use the key that `activate` got, and keep it for other programs of this user if `write`."""
        self._found = replace(self.address, key=str(activation["primary_api_key"]))
        if write:
            address.keep(self._found)

    def already_active(self, refused: NotFound) -> Result:
        """What `activate` answers on a server that gives no keys away, when there is one. Raises `NoKey`."""
        key = self.address.key
        if key is None:
            raise NoKey(
                f"{self.address.url} gives no keys away, only `mainspring dev` does: set MAINSPRING_API_KEY to one "
                "of `mainspring key create`"
            ) from refused
        return Result({"primary_api_key": key, "account_id": None, "project_id": None}, refused.metadata)


def named(operation: Operation[Any] | str) -> Operation[Any]:
    """The operation of an id such as `cron.create`. Raises `KeyError`."""
    return operations.BY_ID[operation] if isinstance(operation, str) else operation
