"""Trying a script out: run it here and now, and see what it printed, too."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from mainspring.core import scripts
from mainspring.core.errors import Invalid, LimitExceeded, TooLarge
from mainspring.core.limits import MINUTE, SCRIPT_RESULT_BYTES_MAX, SCRIPT_ROUTE_SEATS, SCRIPT_SEATS
from mainspring.core.ports import Core
from mainspring.core.script_results_model import NewScriptResult
from mainspring.core.script_runs import MARGIN, Runs
from mainspring.core.scripts_model import ScriptEnd, ScriptLimits

TRIAL_MAX = MINUTE
"""Somebody waits for it, so it may take no longer, whatever the script's own limit."""


class Trial(msgspec.Struct, frozen=True):
    """How it went. `number`: of its record."""

    number: int
    end: ScriptEnd
    took_ms: int


async def try_out(core: Core, clock: Callable[[], int], name: str, params: bytes) -> Trial:
    """Run a script's `onCall` to its end with its stored environment, and keep a record of it as of any other call.

    `params`: JSON. At most `TRIAL_MAX` ms. Raises `NotFound`, `Invalid`, `TooLarge`, and `LimitExceeded` when as many
    scripts are under way on this node as there are seats.
    """
    if len(params) > SCRIPT_RESULT_BYTES_MAX:
        raise TooLarge(f"params have {len(params)} bytes", hint=f"At most {SCRIPT_RESULT_BYTES_MAX}.")
    try:
        msgspec.json.decode(params)
        text = params.decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"the parameters are no JSON: {error}", hint="Write null for none.", field="params") from None
    if "\0" in text:
        raise Invalid("the parameters contain a NUL", hint="Leave it out.", field="params")
    script = await scripts.find(core, name)
    under_way = sum(count for count, _ in scripts.sandbox_of(core).active().values())
    if under_way >= SCRIPT_SEATS + SCRIPT_ROUTE_SEATS:
        raise LimitExceeded("as many scripts as may are under way", retry_after_s=5, hint="Try again in a moment.")
    began = clock()
    own = script.limits
    limits = ScriptLimits(min(own.run_ms, TRIAL_MAX), own.stack, own.heap)
    record = NewScriptResult(script.number, script.name, "call", began, params, ends_by=began + limits.run_ms + MARGIN)
    # As of a script that another one calls: it is under way at once, and no lane has it.
    number = await core.store.script_results.begin_inline(record)
    end = await Runs(core, clock).run(script, "call", params, None, limits=limits)
    ended = clock()
    await core.store.script_results.finish(number, ended, end.result, end.error)
    return Trial(number, end, ended - began)
