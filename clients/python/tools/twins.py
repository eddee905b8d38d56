"""Writes async_nouns/ from nouns/: the same methods, awaited. `--check` only says whether they are what they should be.

The text is the source: what is written for callers that wait is right for callers that do not, but for four words.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "src" / "mainspring_client"
_NOTE = "\n# Written by tools/twins.py from nouns/{name}: edit that one, then run the tool.\n"


def twin(text: str, name: str) -> str:
    """The text of a file of nouns, for callers that await."""
    classes = [found for found in re.findall(r"^class (\w+)", text, re.MULTILINE) if found != "Call"]
    classes += ["Noun"] if "Noun" not in classes else []
    for found in classes:
        text = re.sub(rf"(?<![\w.\"]){found}(?=[(:,)\n])", f"Async{found}", text)
    text = text.replace("mainspring_client.nouns", "mainspring_client.async_nouns")
    text = re.sub(r"^    def (?!__init__)", "    async def ", text, flags=re.MULTILINE)
    text = text.replace("return self._call(", "return await self._call(")
    text = text.replace("import Call, AsyncNoun", "import AsyncNoun, Call")  # in the order that ruff wants
    head, mark, rest = text.partition('"""\n')
    return head + mark + _NOTE.format(name=name) + rest


def main() -> int:
    """Write the files that differ, or name them."""
    stale = []
    for source in sorted((PACKAGE / "nouns").glob("*.py")):
        made, goal = twin(source.read_text(encoding="utf-8"), source.name), PACKAGE / "async_nouns" / source.name
        if not goal.exists() or goal.read_text(encoding="utf-8") != made:
            stale.append(goal.name)
            if "--check" not in sys.argv:
                goal.write_text(made, encoding="utf-8")
    print("async_nouns:", ", ".join(stale) or "as they should be")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
