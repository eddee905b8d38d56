"""What the tidy tests look at: the checkout, and every module of server and agent with its syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "mainspring"
PACKAGES = (PACKAGE, ROOT / "src" / "mainspring_agent")


class Source(NamedTuple):
    """One Python file: `name` is its path from the checkout, as messages show it."""

    name: str
    text: str
    tree: ast.Module


def modules(*folders: Path) -> list[Source]:
    """Read and parse every Python file under the folders."""
    found = [path for folder in folders for path in sorted(folder.rglob("*.py"))]
    assert found, f"no Python file under {folders}"
    return [source(path) for path in found]


def files(*kinds: str) -> list[Path]:
    """Find the files of both packages that end so (`.py`); all but compiled ones when no ending is given."""
    found = [path for package in PACKAGES for path in sorted(package.rglob("*")) if path.suffix != ".pyc"]
    return [path for path in found if not kinds or path.suffix in kinds]


def source(path: Path) -> Source:
    """Read and parse one file."""
    text = path.read_text(encoding="utf-8")
    return Source(path.relative_to(ROOT).as_posix(), text, ast.parse(text))


def identifiers(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield every name that the file defines or uses, with its line."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name) | ast.alias(asname=str(name)):
                yield node.lineno, name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield node.lineno, name
            case ast.keyword(arg=str(name)):
                yield node.value.lineno, name
