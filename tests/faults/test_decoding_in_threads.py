"""Threads that decode a Struct for the first time at once.

msgspec enters what it knows of a Struct before it is complete: a thread that decodes one meanwhile reads a null
pointer, and the process dies (seen in ``verify``, with signal 11). A decoder that a module makes is complete once it is
imported.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import mediactl

ROOT = Path(mediactl.__file__).parent
THREADED = ("api", "assets", "control", "engines", "jobs", "upload")
"""Packages of which some functions run in several threads at once."""
NO_STRUCTS = ("api/options.py: _check_one: ",)
"""What decodes late, but no Struct."""
UNSAFE = """
import sys, threading
import msgspec
sys.setswitchinterval(1e-6)
for number in range(400):
    parts = [msgspec.defstruct(f"Part{number}_{each}", [(f"f{at}", "int | None", None) for at in range(12)])
             for each in range(8)]
    whole = msgspec.defstruct(f"Whole{number}", [(f"a{at}", part) for at, part in enumerate(parts)])
    content = msgspec.json.encode({f"a{at}": {} for at in range(8)})
    ready = threading.Barrier(4)
    def decode():
        ready.wait()
        msgspec.json.decode(content, type=whole)
    threads = [threading.Thread(target=decode) for _ in range(4)]
    for each in threads: each.start()
    for each in threads: each.join()
"""


def late_decoding(path: Path) -> Iterator[str]:
    """Yield the calls that have msgspec learn a type when they run: ``decode(..., type=T)``, ``Decoder(T)``."""
    tree = ast.parse(path.read_text())
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("msgspec."):
                name = ast.unparse(node.func).rpartition(".")[2]
                if name in ("Decoder", "convert") or (name == "decode" and node.keywords):
                    yield f"{path.relative_to(ROOT)}: {function.name}: {ast.unparse(node)}"


def test_what_threads_decode_has_a_decoder_that_its_module_made() -> None:
    found = [each for package in THREADED for path in (ROOT / package).rglob("*.py") for each in late_decoding(path)]
    assert [each for each in found if not each.startswith(NO_STRUCTS)] == []


def test_calls_that_decode_late_are_found() -> None:
    assert [each.partition(": ")[0] for each in late_decoding(ROOT / "report/data.py")] == ["report/data.py"]


def test_a_struct_without_a_decoder_still_kills_the_process() -> None:
    """Once msgspec no longer does, this file and the decoders of modules may go."""
    assert subprocess.run([sys.executable, "-c", UNSAFE], capture_output=True).returncode in (-11, -6)
