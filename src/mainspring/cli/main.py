"""`mainspring`: parse, call, print. Exit codes: 0 done, 1 failed, 2 usage."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mainspring import __version__

if TYPE_CHECKING:
    from mainspring.core.errors import Refused

_EPILOG = """\
examples:
  mainspring dev                                   a server to try things out, with everything printed
  mainspring serve --port 8080 --data ./data       the server
  mainspring cron next "0 9 * * 1-5" --timezone Europe/Berlin
  mainspring cron create "*/5 * * * *" https://example.com/hook --name five
  mainspring run list --state failed
  mainspring queue publish orders '{"n": 1}'
  mainspring queue consume orders --follow
"""


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    # Imported here so that `mainspring --version` stays instant.
    from mainspring.cli import (
        agent,
        audit,
        crons,
        health,
        keys,
        migrate,
        queues,
        runs,
        serve,
        tasks,
        tokens,
        upkeep,
        webhooks,
    )

    top = argparse.ArgumentParser(
        prog="mainspring",
        description="One self-hosted server that makes things happen on time.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"mainspring {__version__}")
    nouns = top.add_subparsers(dest="noun", metavar="COMMAND", required=True)
    for module in (serve, crons, tasks, runs, queues, webhooks, keys, tokens, agent, audit, migrate, upkeep, health):
        module.register(nouns)
    return top


def _clock() -> int:
    from mainspring.app import clock

    return clock()


def refused_code(refused: Refused, noun: str) -> int:
    """Say why a command was refused and what to do; its exit code."""
    named = refused.field is not None and refused.field not in refused.message
    print(f"mainspring: {f'{refused.field}: ' if named else ''}{refused.message}", file=sys.stderr)
    if refused.hint:
        print(f"  {refused.hint}", file=sys.stderr)
    return 2 if refused.code == "VALIDATION_FAILED" and noun in ("serve", "dev") else 1


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the process's exit code."""
    from mainspring.core.errors import Refused

    args = parser().parse_args(argv)
    args.clock = _clock
    try:
        code: int = args.run(args)
    except Refused as refused:
        return refused_code(refused, args.noun)
    except KeyboardInterrupt:
        return 1
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    return code


if __name__ == "__main__":
    sys.exit(main())
