"""``--shard``: several machines divide the sources, without knowing each other."""

from __future__ import annotations

from conftest import CommandLine
from support.shipped import picture

RECIPE = 'name = "one"\n[[image]]\nname = "w"\nwidth = 16\n'


def test_shards_make_each_source_once_and_an_empty_one_is_complete(mediactl: CommandLine) -> None:
    (mediactl.folder / "r.toml").write_text(RECIPE)
    for number in range(5):
        picture(mediactl.folder / f"in/{number}.jpg", seed=number)

    def made(number: int, *more: str, **environment: str) -> list[str]:
        out = f"out{number}{''.join(more)}".replace("/", "-")
        run = mediactl("process", "in", "--recipe", "r.toml", "--out", out, "--json", *more, environment=environment)
        assert run.code == 0, run.err
        assert run.summary["sources"] == len(list((mediactl.folder / out).glob("*.jpg")))
        return sorted(path.name for path in (mediactl.folder / out).glob("*.jpg"))

    names = [f"{number}.jpg" for number in range(5)]
    assert sorted(made(1, "--shard", "1/2") + made(2, "--shard", "2/2")) == names
    by_work = [
        made(number, "--shard", "auto", "--shard-by", "work", CI_NODE_INDEX=str(number), CI_NODE_TOTAL="8")
        for number in range(1, 9)
    ]
    assert sorted(name for part in by_work for name in part) == names
    assert [] in by_work
    run = mediactl("process", "in", "--shard", "3/2")
    assert (run.code, len(run.err.splitlines())) == (2, 1), run.err


def test_a_shard_that_has_nothing_is_no_emptied_source(mediactl: CommandLine) -> None:
    """Not to be mistaken for a file system that is not mounted."""
    (mediactl.folder / "r.toml").write_text(RECIPE)
    picture(mediactl.folder / "in/1.jpg")
    assert mediactl("process", "in", "--recipe", "r.toml").code == 0
    empty = next(number for number in ("1/2", "2/2") if shows_nothing(mediactl, number))
    run = mediactl("process", "in", "--recipe", "r.toml", "--shard", empty)
    assert (run.code, run.err) == (0, "")
    assert "nothing" not in mediactl("process", "in", "--recipe", "r.toml", "--json", "--shard", empty).err


def shows_nothing(mediactl: CommandLine, shard: str) -> bool:
    run = mediactl("process", "in", "--recipe", "r.toml", "--shard", shard, "--json", "--dry-run", "--out", "other")
    return "source.planned" not in run.out
