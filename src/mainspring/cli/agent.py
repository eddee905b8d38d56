"""`mainspring agent`: runs jobs on this machine for one or several servers."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring_agent.settings import Loaded

_EPILOG = """\
With a file, everything is in it (docs/doors/agents.md). Without one: an address, a token that may listen for this
agent's tasks and write their results, the agent's UUID, and what it may do. Nothing is allowed that is not named.
Results that no server has taken wait in the state directory for the next start.

examples:
  mainspring agent --config /etc/mainspring/agent.toml
  mainspring agent --server wss://jobs.example.com/ --token-file token --uuid 00000000-0000-0000-0000-000000000001 \\
    --allow ping,tcp_ping
"""


def register(nouns: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `agent`."""
    parser = nouns.add_parser(
        "agent",
        help="run jobs on this machine",
        description="Run jobs on this machine for one or several servers, until SIGTERM.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", metavar="FILE", type=Path, help="a TOML file with everything in it")
    parser.add_argument("--server", metavar="URL", help="the server: ws://, wss://, http:// or https://")
    given = parser.add_mutually_exclusive_group()
    given.add_argument("--token", help="key:secret or user|password (others on this machine can see it)")
    given.add_argument("--token-file", metavar="FILE", type=Path, help="a file with the token in it")
    parser.add_argument("--uuid", help="the UUID of this agent")
    parser.add_argument("--allow", metavar="TYPE,…", default="", help="the task types that it does: ping, execute, …")
    parser.add_argument("--state", metavar="DIR", type=Path, default=Path("mainspring-agent-state"))
    parser.add_argument("--check", action="store_true", help="only say whether the settings can be used")
    parser.set_defaults(run=run, usage=parser.error)


def run(args: argparse.Namespace) -> int:
    """Work until told to stop."""
    from mainspring_agent import agent
    from mainspring_agent.settings import BadSettings

    try:
        loaded = _loaded(args)
    except (BadSettings, OSError, UnicodeDecodeError) as error:
        print(f"mainspring: {error}", file=sys.stderr)
        return 2
    if not args.check:
        agent.run(loaded, args.clock)
    return 0


def _loaded(args: argparse.Namespace) -> Loaded:
    from mainspring_agent import settings

    if args.config is not None:
        if args.server or args.token or args.token_file or args.uuid or args.allow:
            args.usage("--config FILE says everything; no other flag goes with it")
        return settings.load(args.config)
    token: str = args.token or (args.token_file.read_text(encoding="utf-8").strip() if args.token_file else "")
    if not (args.server and token and args.uuid):
        args.usage("--config FILE, or --server URL with --token T and --uuid U")
    allowed = [kind.strip() for kind in args.allow.split(",") if kind.strip()]
    return settings.from_flags(args.server, token, args.uuid, allowed, args.state)
