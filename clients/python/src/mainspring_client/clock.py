"""The clocks and the two sleeps; nothing else here reads the time or waits."""

from __future__ import annotations

import asyncio
import time

monotonic = time.monotonic
wall = time.time
sleep = time.sleep
sleep_async = asyncio.sleep
