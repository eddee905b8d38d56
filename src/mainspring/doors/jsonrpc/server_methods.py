"""`nodeget-server_*`: what the server says of itself."""

from __future__ import annotations

import platform

import msgspec

from mainspring import __version__
from mainspring.core.permissions import Permission, agent
from mainspring.doors.jsonrpc.errors import denied
from mainspring.doors.jsonrpc.method import Call, Method, Nothing

LIST_AGENTS = Permission("node_get", "list_all_agent_uuid")
HELLO = "NodeGet Server Is Running!"


class Version(msgspec.Struct, frozen=True):
    """The build; what a program in Python does not have is empty."""

    binary_type: str = "Server"
    cargo_version: str = __version__
    git_branch: str = ""
    git_commit_sha: str = ""
    git_commit_date: str = ""
    git_commit_message: str = ""
    build_time: str = ""
    cargo_target_triple: str = f"{platform.machine()}-{platform.system().lower()}"
    rustc_channel: str = ""
    rustc_version: str = f"Python {platform.python_version()}"
    rustc_commit_date: str = ""
    rustc_commit_hash: str = ""
    rustc_llvm_version: str = ""


async def hello(_: Call[Nothing]) -> str:
    """A sign of life."""
    return HELLO


async def uuid(call: Call[Nothing]) -> str:
    """What agents compare with the server that they were set up for; the same on every node, for as long as the store
    lasts."""
    kept = await call.core.store.upkeep.get_meta("server_uuid")
    if kept is not None:
        return kept
    return await call.core.store.upkeep.keep_meta("server_uuid", _random_uuid(call.dice(16)))


async def version(_: Call[Nothing]) -> Version:
    """The build."""
    return Version()


def _random_uuid(dice: bytes) -> str:
    """A UUID of version 4 (RFC 9562 section 5.4)."""
    number = int.from_bytes(dice) & ~(0xF << 76) & ~(0x3 << 62) | 0x4 << 76 | 0x2 << 62
    digits = f"{number:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


class Token(msgspec.Struct, frozen=True):
    """Who asks."""

    token: str


class Agents(msgspec.Struct, frozen=True):
    """UUIDs of agents."""

    uuids: list[str]


async def list_all_agent_uuid(call: Call[Token]) -> Agents:
    """The agents that are known, as far as the token may see them."""
    principal = await call.principal(call.params.token)
    if not principal.is_super and not any(LIST_AGENTS in limit.permissions for limit in principal.limits):
        raise denied("Missing node_get list_all_agent_uuid permission")
    known = await call.core.store.crontabs.agents()
    return Agents([one for one in known if principal.allows(call.now, (agent(one),), (LIST_AGENTS,))])


METHODS = (
    Method(
        name="nodeget-server_list_all_agent_uuid",
        summary="The agents that the token may see.",
        params=Token,
        result=Agents,
        permission="node_get:list_all_agent_uuid, globally or for each agent",
        handler=list_all_agent_uuid,
    ),
    Method(
        name="nodeget-server_hello",
        summary="A sign of life.",
        params=Nothing,
        result=str,
        permission=None,
        handler=hello,
    ),
    Method(
        name="nodeget-server_uuid",
        summary="The server's UUID, by which agents know it.",
        params=Nothing,
        result=str,
        permission=None,
        handler=uuid,
    ),
    Method(
        name="nodeget-server_version",
        summary="What this server is.",
        params=Nothing,
        result=Version,
        permission=None,
        handler=version,
    ),
)
