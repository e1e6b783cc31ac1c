"""What no linter of others checks: small files and functions, packages that say what they are, layers."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from conftest import ROOT

MOST_LINES_OF_A_FILE = 400
MOST_LINES_OF_A_FUNCTION = 60
VAGUE = {"util", "utils", "helper", "helpers", "common", "misc"}


def too_long(path: Path) -> Iterator[str]:
    """A line for a file that is too long, and one for each function or method in it that is."""
    text = path.read_text(encoding="utf-8")
    lines = text.count("\n")
    if lines > MOST_LINES_OF_A_FILE:
        yield f"{path.name}: {lines} lines"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            # Decorators stand before the line of `def`.
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            assert node.end_lineno is not None
            lines = node.end_lineno - first + 1
            if lines > MOST_LINES_OF_A_FUNCTION:
                yield f"{path.name}:{first} {node.name}: {lines} lines"


def faults(package: Path) -> list[str]:
    """What breaks the rules in a package and in those inside it, a line each."""
    found = []
    for path in sorted(package.rglob("*.py")):
        place = path.relative_to(package).parent
        found += [str(place / line) for line in too_long(path)]
        if VAGUE & {*path.relative_to(package).with_suffix("").parts}:
            found.append(f"{path.relative_to(package)}: the name says nothing")
    for folder in sorted({path.parent for path in package.rglob("*.py")}):
        place = folder.relative_to(package) / "__init__.py"
        if not (folder / "__init__.py").is_file():
            found.append(f"{place}: is missing")
        elif not ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))):
            found.append(f"{place}: no docstring")
    return found


def test_files_and_functions_are_small_and_packages_say_what_they_are() -> None:
    assert faults(ROOT / "accel_cls") == []


def test_no_file_holds_the_marks_of_a_merge() -> None:
    kinds = ("*.md", "*.py", "*.yaml", "*.toml", "*.json", "*.j2", "*.txt")
    folders = ("accel_cls", "accelerate_configs", "benchmarks", "docs", "recipes", "tests", "tools")
    files = [path for folder in folders for kind in kinds for path in (ROOT / folder).rglob(kind)]
    marks = ("\n<<<<<<< ", "\n>>>>>>> ")
    texts = {path: path.read_text(encoding="utf-8", errors="replace") for path in [*files, *ROOT.glob("*.md")]}
    assert [path for path, text in texts.items() if any(mark in text for mark in marks)] == []


def test_files_and_functions_around_the_package_are_small() -> None:
    for folder in ("benchmarks", "tests", "tools"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            assert not list(too_long(path)), path


def test_what_breaks_the_rules_is_found(tmp_path: Path) -> None:
    def write(name: str, text: str) -> None:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")

    body = "    pass\n"
    write("__init__.py", '"""A package."""\n')
    write("good.py", "@one\ndef f():\n" + body * 58 + "x = 1\n" * 340)
    write("long.py", "x = 1\n" * 401)
    method = "    @one\n    async def g(self):\n" + "        pass\n" * 59
    write("functions.py", "def f():\n" + body * 60 + "class A:\n" + method)
    write("part/utils.py", "")
    write("part/__init__.py", "# no docstring\n")
    write("bare/a.py", "")
    assert faults(tmp_path) == [
        "functions.py:1 f: 61 lines",
        "functions.py:63 g: 61 lines",
        "long.py: 401 lines",
        "part/utils.py: the name says nothing",
        "bare/__init__.py: is missing",
        "part/__init__.py: no docstring",
    ]


def lint_imports(folder: Path) -> subprocess.CompletedProcess:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-logo", "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_modules_import_only_what_stands_below_them() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout
    assert " kept, 0 broken." in done.stdout


def test_every_package_and_module_has_its_layer() -> None:
    """What the contract does not name may import anything, and be imported by anything."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    contract = settings["contracts"][0]
    named = {
        name.strip().removeprefix("accel_cls.")
        for layer in contract["layers"]
        for name in layer.replace("|", ":").split(":")
    }
    there = {
        path.stem
        for path in (ROOT / "accel_cls").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    assert named == there - {"__init__"}
