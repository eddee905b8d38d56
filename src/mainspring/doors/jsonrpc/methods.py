"""The table of methods: dispatch, the permissions test and the OpenRPC document come from it. One file per noun."""

from __future__ import annotations

from mainspring.doors.jsonrpc import server_methods
from mainspring.doors.jsonrpc.method import Method

METHODS: tuple[Method, ...] = (*server_methods.METHODS,)

BY_NAME = {method.name: method for method in METHODS}

assert len(BY_NAME) == len(METHODS), "a method is there twice"
