"""Nothing is ever unpickled, compiled or run by a shell: neither here nor, with our data, in a library."""

from __future__ import annotations

import ast
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import diskcache
from conftest import ROOT

from mediactl.media.cache import ProbeCache, Remembered
from mediactl.model.media import Fingerprint, Limits, MediaInfo

FORBIDDEN = frozenset({"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "yaml", "jsonpickle", "joblib"})
CALLS = frozenset({"eval", "exec", "compile", "system", "popen", "literal_eval"})


def offences(path: Path) -> Iterator[str]:
    """Yield what a module imports or calls of these."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        match node:
            case ast.Import(names=names):
                yield from FORBIDDEN & {each.name.partition(".")[0] for each in names}
            case ast.ImportFrom(module=str() as module):
                yield from FORBIDDEN & {module.partition(".")[0]}
            case ast.Call(func=ast.Name(id=name)) | ast.Call(func=ast.Attribute(value=ast.Name(id="os"), attr=name)):
                yield from CALLS & {name}
            case ast.keyword(arg="shell", value=value) if not (isinstance(value, ast.Constant) and not value.value):
                yield "shell"


def test_no_module_unpickles_or_evaluates(tmp_path: Path) -> None:
    found = {str(path.relative_to(ROOT)): list(offences(path)) for path in (ROOT / "mediactl").rglob("*.py")}
    assert len(found) > 100 and {name: each for name, each in found.items() if each} == {}
    bad = "import pickle\nfrom marshal import loads\neval('1')\nos.system('')\nrun(x, shell=True)\n"
    (tmp_path / "bad.py").write_text(bad)
    assert sorted(offences(tmp_path / "bad.py")) == ["eval", "marshal", "pickle", "shell", "system"]


def test_a_pickle_in_the_cache_is_not_loaded(tmp_path: Path) -> None:
    mark = Fingerprint(1, 2, 3, 4)
    cache = ProbeCache(str(tmp_path / "cache").encode())
    cache.put(5, mark, "png", Limits(), Remembered("d", MediaInfo("png")), position=False)
    assert cache.get(5, mark, "png", Limits(), position=False)
    with closing(sqlite3.connect(tmp_path / "cache" / "cache.db")) as database, database:
        assert database.execute("SELECT value FROM Settings WHERE key = 'disk_min_file_size'").fetchone()
        # What runs a command when it is unpickled: os.system("touch ...").
        command = f"cposix\nsystem\n(S'touch {tmp_path}/run'\ntR.".encode()
        database.execute("UPDATE Cache SET mode = ?, value = ?", (diskcache.core.MODE_PICKLE, command))
    assert ProbeCache(str(tmp_path / "cache").encode()).get(5, mark, "png", Limits(), position=False) is None
    assert not (tmp_path / "run").exists()
