"""`python -m bench [NAME …]`: run benchmarks one after the other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
PARTS = {"amqp", "wire", "queue_engine", "peer_apscheduler", "webhook_calls", "webhook_celery", "webhook_isolation"}
NOT_BENCHMARKS = {"__init__", "__main__", "sink", "rig", "report"} | PARTS


def main() -> int:
    names = sorted(path.stem for path in HERE.glob("*.py") if path.stem not in NOT_BENCHMARKS)
    chosen = sys.argv[1:] or names
    unknown = [name for name in chosen if name not in names]
    if unknown:
        print(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(names)}", file=sys.stderr)
        return 2
    code = 0
    for name in chosen:
        print(f"\n== {name} ==", flush=True)
        code |= subprocess.run([sys.executable, "-m", f"bench.{name}"], check=False).returncode
    return code


if __name__ == "__main__":
    sys.exit(main())
