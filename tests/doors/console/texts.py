"""Every text that the console can show, with the place where it is written."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import jinja2
from jinja2 import nodes

from mainspring.doors.console import words

FOLDER = Path(words.__file__).parent
TEMPLATES = FOLDER / "templates"
ROOM = "mainspring.doors.console"


def written() -> dict[str, str]:
    """English text → where it stands, once for each text."""
    found: dict[str, str] = {}
    for path in sorted(TEMPLATES.glob("*.html")):
        for line, text in of_template(path.read_text("utf-8")):
            found.setdefault(text, f"templates/{path.name}:{line}")
    for path in sorted(FOLDER.glob("*.py")):
        for line, text in of_module(path.read_text("utf-8")):
            found.setdefault(text, f"{path.name}:{line}")
        for text in listed_by(path.stem):
            found.setdefault(text, f"{path.name}: TEXTS or KINDS")
    return found


def of_template(source: str) -> Iterator[tuple[int, str]]:
    """What `_(…)` says, the states that `parts.state(…)` shows, and the keys of `tones`."""
    tree = jinja2.Environment(autoescape=True).parse(source)
    for call in tree.find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name == "_" and call.args:
            yield from ((call.lineno, text) for text in _constants(call.args[0]))
        if isinstance(call.node, nodes.Getattr) and call.node.attr == "state" and call.args:
            yield from ((call.lineno, text.replace("_", " ")) for text in _constants(call.args[0]))
    for assigned in tree.find_all(nodes.Assign):
        if isinstance(assigned.target, nodes.Name) and assigned.target.name == "tones":
            for pair in assigned.node.find_all(nodes.Pair):
                yield from ((assigned.lineno, text.replace("_", " ")) for text in _constants(pair.key))


def _constants(node: nodes.Node | None) -> Iterator[str]:
    """The texts that an expression may be; not those it is only made with."""
    match node:
        case nodes.Const(value=str() as text):
            yield text
        case nodes.CondExpr(expr1=first, expr2=second):
            yield from _constants(first)
            yield from _constants(second)
        case nodes.Or(left=first, right=second):
            yield from _constants(first)
            yield from _constants(second)


def of_module(source: str) -> Iterator[tuple[int, str]]:
    """What is said, noted after an action, or the label of a screen."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        at = {"say": 0, "words": 0, "back": 1, "Screen": 1}.get(name)
        if at is not None and len(node.args) > at:
            yield from ((node.lineno, text) for text in _literals(node.args[at]))
        for given in node.keywords:
            if given.arg == "failed":
                yield from ((node.lineno, text) for text in _literals(given.value))


def _literals(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.Constant(value=str() as text):
            yield text
        case ast.IfExp(body=first, orelse=second):
            yield from _literals(first)
            yield from _literals(second)


def listed_by(stem: str) -> Iterator[str]:
    """What a module lists because it is shown by way of a variable."""
    module = importlib.import_module(f"{ROOM}.{stem}" if stem != "__init__" else ROOM)
    yield from getattr(module, "TEXTS", ())
    kinds = getattr(module, "KINDS", None)
    if stem == "visit" and kinds is not None:
        yield from kinds.values()
