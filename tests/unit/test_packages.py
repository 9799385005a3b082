"""The shape of the package: few rooms, small ones, and no two modules that need each other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2] / "mediactl"
MOST_ENTRIES = 24
MOST_MODULES = 15
MOST_COMMANDS = 30
"""Each is a module that is found by its name; `mediactl --help` has them in sections."""


def modules() -> dict[str, Path]:
    """Dotted name -> file, of every module."""
    return {
        ".".join(("mediactl", *file.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): file
        for file in ROOT.rglob("*.py")
    }


def imports(file: Path, known: set[str]) -> Iterator[str]:
    """Modules of ours that a module imports, in functions too, but not for type checkers alone."""
    tree = ast.parse(file.read_text())
    typing = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing:
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                yield submodule if submodule in known else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_no_modules_import_each_other_in_a_circle() -> None:
    found = modules()
    known = set(found)
    graph = {
        name: {each for each in imports(file, known) if each in known and each != name} for name, file in found.items()
    }
    assert sum(map(len, graph.values())) > 500, "the graph is read wrongly"
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise AssertionError(f"import cycle: {' -> '.join(error.args[1])}") from None


def test_the_package_root_has_few_entries() -> None:
    entries = [path.name for path in ROOT.iterdir() if path.name not in ("__pycache__", "__init__.py", "py.typed")]
    assert len(entries) <= MOST_ENTRIES, sorted(entries)


def test_no_package_has_many_modules_side_by_side() -> None:
    for folder in (path for path in (ROOT, *ROOT.rglob("*")) if path.is_dir() and path.name != "__pycache__"):
        inner_media = folder.parent == ROOT / "media"
        names = [path.name for path in folder.glob("*.py") if path.name != "__init__.py"]
        most = MOST_COMMANDS if folder == ROOT / "commands" else MOST_MODULES
        assert inner_media or len(names) <= most, (folder, sorted(names))
