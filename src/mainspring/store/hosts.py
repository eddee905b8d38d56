"""The hosts of a database URL, one by one: the driver gives all of them together the time that each should have."""

from __future__ import annotations

from typing import Literal
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec

Wanted = Literal["any", "primary", "standby", "prefer-standby", "read-write", "read-only"]

# What other clients understand in a URL; the server would refuse to start a session with them.
_NOT_OURS = {
    "connect_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
    "load_balance_hosts",
    "channel_binding",
    "gssencmode",
    "application_name",
}


class Host(msgspec.Struct, frozen=True):
    """One host of the database: a URL of its own, and what a session there must be able to do."""

    url: str
    wanted: Wanted = "read-write"


def each_host(url: str) -> list[Host]:
    """The hosts of `postgresql://user:password@host:port,host:port/database?…`, in order.

    Unless the URL says otherwise with `target_session_attrs`, a host must take writes. What has several hosts in its
    query (`?host=a,b`) stays one.
    """
    parts = urlsplit(url)
    query = [(name, value) for name, value in parse_qsl(parts.query) if name not in _NOT_OURS]
    wanted = dict(query).get("target_session_attrs", "read-write")
    rest = urlencode([pair for pair in query if pair[0] != "target_session_attrs"])
    user, at, hosts = parts.netloc.rpartition("@")
    tail = parts.path + ("?" + rest if rest else "")
    return [
        Host("postgresql://" + user + at + host + tail, msgspec.convert(wanted, Wanted)) for host in hosts.split(",")
    ]


def shown(url: str) -> str:
    """The URL without its password."""
    parts = urlsplit(url)
    user, at, hosts = parts.netloc.rpartition("@")
    return "postgresql://" + user.partition(":")[0] + at + hosts + parts.path
