"""How long to wait before the next try to connect. Pure."""

from __future__ import annotations

FIRST_S = 1.0
LONGEST_S = 60.0
AFTER_DROP_S = 3.0
SPREAD = 0.2


def pause(failures: int, dice: float) -> float:
    """Seconds before the next try: 1, 2, 4 … 60 after so many in a row have failed, 3 after a connection was lost
    (0), each up to a fifth shorter or longer by `dice` (0 <= dice < 1), so that agents do not come back as one."""
    seconds = AFTER_DROP_S if failures <= 0 else min(LONGEST_S, FIRST_S * 2 ** min(failures - 1, 16))
    return seconds * (1 - SPREAD + 2 * SPREAD * dice)
