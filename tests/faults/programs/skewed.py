"""`mainspring` on a machine whose clock is wrong: `skewed.py FILE ARGUMENT…`; FILE holds by how much (ms), and may
change while it runs.

Shifts the wall clock of this process and nothing else; the steady clock stays what it is.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

true_ns = time.time_ns


def shifted_ns() -> int:
    """What this machine takes for now, ns."""
    return true_ns() + int(told.read_text()) * 1_000_000


if __name__ == "__main__":
    told = Path(sys.argv[1])
    time.time_ns = shifted_ns
    time.time = lambda: shifted_ns() / 1e9

    from mainspring.cli.main import main

    sys.exit(main(sys.argv[2:]))
