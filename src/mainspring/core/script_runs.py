"""One run of a script, with the scripts that it calls: how deep, how many at once, and what is written down."""

from __future__ import annotations

from collections.abc import Callable

from mainspring.core import scripts
from mainspring.core.errors import Conflict
from mainspring.core.events import ScriptPrinted
from mainspring.core.limits import LEASE, SCRIPT_DEPTH_MAX, SCRIPT_TREE_MAX
from mainspring.core.ports import Core
from mainspring.core.script_results_model import NewScriptResult
from mainspring.core.scripts_model import RunType, Script, ScriptEnd, ScriptJob, ScriptLimits

FAILED = "JavaScript runtime execution failed: "
# How long after its limit a process is certainly over: it had to be started, and its end to be written.
MARGIN = LEASE


class Tree:
    """A run with everything that it has called, directly or not: so many processes at once."""

    __slots__ = ("room",)

    def __init__(self) -> None:
        self.room = SCRIPT_TREE_MAX


class Place:
    """Where in its tree a run is: how deep, called by which script."""

    __slots__ = ("caller", "depth", "tree")

    def __init__(self, tree: Tree, depth: int = 0, caller: str | None = None) -> None:
        self.tree = tree
        self.depth = depth
        self.caller = caller


class Runs:
    """Runs scripts. `clock`: now in ms."""

    def __init__(self, core: Core, clock: Callable[[], int]) -> None:
        self._core = core
        self._clock = clock

    async def run(
        self,
        script: Script,
        run_type: RunType,
        params: bytes,
        env: bytes | None,
        *,
        limits: ScriptLimits | None = None,
        place: Place | None = None,
    ) -> ScriptEnd:
        """Run it to its end; errors begin as clients know them. `env`: JSON, None for the script's own. Raises
        `Unavailable` on a process that runs no scripts."""
        here = place or Place(Tree())
        own = env if env is not None else scripts.env_of(self._core, script.env)
        job = ScriptJob(
            name=script.name,
            source=script.source,
            run_type=run_type,
            params=params,
            env=scripts.NO_ENV if own is None or own == b"null" else own,
            limits=limits or script.limits,
            caller=here.caller,
        )

        async def inline(name: str, given: bytes, most_ms: int) -> bytes:
            return await self._call(name, given, most_ms, Place(here.tree, here.depth + 1, script.name))

        here.tree.room -= 1
        try:
            end = await scripts.sandbox_of(self._core).run(job, inline)
        finally:
            here.tree.room += 1
        for level, text in end.log:
            self._core.emit(ScriptPrinted(script=script.name, level=level, text=text))
        if end.error is None:
            return end
        return ScriptEnd(error=FAILED + end.error.strip(), log=end.log)

    async def _call(self, name: str, params: bytes, most_ms: int, place: Place) -> bytes:
        """What another script returns. Raises `Refused` with its error."""
        if place.depth > SCRIPT_DEPTH_MAX:
            raise Conflict("inlineCall recursion depth limit reached")
        if place.tree.room <= 0:
            raise Conflict(f"a run has at most {SCRIPT_TREE_MAX} scripts under way at once")
        script = await scripts.find(self._core, name)
        own = script.limits
        limits = ScriptLimits(min(most_ms, own.run_ms), own.stack, own.heap)
        now = self._clock()
        record = NewScriptResult(
            script.number, script.name, "inline_call", now, params, ends_by=now + limits.run_ms + MARGIN
        )
        number = await self._core.store.script_results.begin_inline(record)
        end = await self.run(script, "inline_call", params, None, limits=limits, place=place)
        await self._core.store.script_results.finish(number, self._clock(), end.result, end.error)
        if end.result is None:
            raise Conflict(end.error or FAILED)
        return end.result
