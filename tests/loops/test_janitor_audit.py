from __future__ import annotations

from functools import partial

from loops.rig import Rig
from mainspring.core.audit import PURPOSE, Asked, Note
from mainspring.core.idempotency import noted
from mainspring.core.ids import KEY_MAX
from mainspring.core.limits import DAY
from mainspring.loops.janitor import Janitor
from store.making import PROJECT, START, new


async def test_the_log_is_kept_for_as_long_as_it_is_set(rig: Rig) -> None:
    core = rig.bench.core
    mark = partial(core.vault.mark, purpose=PURPOSE)
    note = Note(PROJECT, 1, "shown", "192.0.2.1", "cron.create", (), "a request", lambda _: "a job", mark)
    for _ in range(4):
        await core.store.create_schedule(new(once=noted(note)))
        rig.clock.advance(DAY)
    janitor = Janitor(core, audit_days=3)
    left = []
    for now in (START + 2 * DAY, START + 4 * DAY + 1, START + 400 * DAY):
        await janitor.step(now)
        left.append([entry.number for entry in await core.store.audit.page(Asked(PROJECT, KEY_MAX, 99))])
    assert left == [[4, 3, 2, 1], [4, 3], [4]]
