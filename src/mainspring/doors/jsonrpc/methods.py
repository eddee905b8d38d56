"""The table of methods: dispatch, the permissions test and the OpenRPC document come from it. One file per noun."""

from __future__ import annotations

from mainspring.doors.jsonrpc import (
    agent_methods,
    crontab_methods,
    kv_methods,
    result_methods,
    scripts_methods,
    scripts_result_methods,
    server_methods,
    task_methods,
    token_methods,
)
from mainspring.doors.jsonrpc.method import Method

METHODS: tuple[Method, ...] = (
    *crontab_methods.METHODS,
    *result_methods.METHODS,
    *token_methods.METHODS,
    *kv_methods.METHODS,
    *scripts_methods.METHODS,
    *scripts_result_methods.METHODS,
    *task_methods.METHODS,
    *agent_methods.METHODS,
    *server_methods.METHODS,
)

BY_NAME = {method.name: method for method in METHODS}

assert len(BY_NAME) == len(METHODS), "a method is there twice"
