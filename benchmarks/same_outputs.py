"""Does this checkout make the same bytes as another one, and find that one's tree complete?

    python benchmarks/same_outputs.py --before OTHER/.venv/bin/mediactl samples ../shared/media/photos

Both process the same sources into fresh trees with caches of their own. Compared are the names and SHA-256 of all
files but the journal. Then this checkout is run on the tree that the other one made: it must have no job to do.
Exit code 1 when anything differs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

OURS = [sys.executable, "-c", "from mediactl.cli import main; main()"]


def process(command: list[str], sources: list[Path], out: Path, cache: Path) -> dict[str, object]:
    """The summary of a run."""
    environment = {**os.environ, "MEDIACTL_CACHE": str(cache)}
    argv = [*command, "process", *map(str, sources), "--out", str(out), "--keep-root", "--json"]
    done = subprocess.run(argv, capture_output=True, env=environment, check=False)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(argv)}: exit code {done.returncode}: {done.stderr.decode()}")
    summary: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return summary


def digests(tree: Path) -> dict[str, str]:
    """Relative name -> SHA-256 of every file of a tree but its journal."""
    return {
        str(file.relative_to(tree)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(tree.rglob("*"))
        if file.is_file() and ".mediactl" not in file.relative_to(tree).parts
    }


def main() -> None:
    """Compare, print, and exit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", required=True, help="mediactl of the other checkout")
    parser.add_argument("--list", action="store_true", help="print every file with its digest")
    parser.add_argument("sources", nargs="+", type=Path)
    arguments = parser.parse_args()
    sources = [source.resolve() for source in arguments.sources]
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        before = process([arguments.before], sources, top / "before", top / "cache-before")
        after = process(OURS, sources, top / "after", top / "cache-after")
        theirs, ours = digests(top / "before"), digests(top / "after")
        different = sorted(name for name in theirs.keys() | ours.keys() if theirs.get(name) != ours.get(name))
        again = process(OURS, sources, top / "before", top / "cache-again")
    if arguments.list:
        for name, digest in ours.items():
            print(digest, name)
    for name in different:
        state = "missing" if name not in ours else "added" if name not in theirs else "different"
        print(f"{state}: {name}")
    print(f"sources: {before['sources']} before, {after['sources']} now; files: {len(theirs)} before, {len(ours)} now")
    print(f"different files: {len(different)}; jobs on the tree made before: {again['jobs']}")
    sys.exit(1 if different or again["jobs"] else 0)


if __name__ == "__main__":
    main()
