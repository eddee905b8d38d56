"""The distribution: it stands alone, and everything it needs is in it."""

from __future__ import annotations

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "mainspring_client"


def test_it_imports_nothing_but_itself_the_standard_library_and_httpx2() -> None:
    imported = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            if isinstance(node, ast.ImportFrom):
                assert node.module is not None
                imported.add(node.module.partition(".")[0])
    assert imported - sys.stdlib_module_names == {"mainspring_client", "httpx2"}


def test_the_wheel_holds_every_module_and_the_mark_of_its_types(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    [wheel] = tmp_path.glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    modules = {path.relative_to(ROOT / "src").as_posix() for path in PACKAGE.rglob("*.py")}
    assert modules | {"mainspring_client/py.typed"} <= held
    [metadata] = [name for name in held if name.endswith("/METADATA")]
    assert "Requires-Dist: httpx2" in zipfile.ZipFile(wheel).read(metadata).decode()


def test_it_is_imported_without_address_key_or_server(tmp_path: Path) -> None:
    code = "import mainspring_client; print(mainspring_client.infra.cron)"
    environment = {"PATH": "", "HOME": str(tmp_path), "PYTHONPATH": ":".join(sys.path)}
    subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, check=True, capture_output=True)
    assert list(tmp_path.iterdir()) == []


def test_a_file_has_at_most_400_lines_and_every_public_name_says_what_it_is_for() -> None:
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert text.count("\n") <= 400, path
        tree = ast.parse(text)
        assert ast.get_docstring(tree), path
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                is_inside = node.name.startswith("_") or node.name in {
                    "work",
                    "tell",
                    "restore",
                    "stop",
                    "items",
                    "handle",
                }
                assert is_inside or ast.get_docstring(node), f"{path}:{node.name}"
