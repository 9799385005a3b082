"""The live view on the screen of a terminal."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console, Group
from rich.text import Text
from support.events import event_of
from support.screens import Screen

from mediactl.ui.lines import remaining
from mediactl.ui.live import REFRESH, LiveView
from mediactl.ui.region import Region, wrapped


class Shown:
    """A console on an emulated screen whose size can be changed."""

    def __init__(self, columns: int = 80, rows: int = 24) -> None:
        self.screen = Screen(columns, rows)
        self.console = Console(file=self, force_terminal=True, width=columns, height=rows, highlight=False)  # type: ignore[arg-type]

    def write(self, text: str) -> None:
        """Show what is written, with the line ends that a terminal adds a carriage return to."""
        self.screen.feed(text.replace("\n", "\r\n").encode())

    def flush(self) -> None:
        """Nothing is held back."""

    def resize(self, columns: int, rows: int = 24, *, reflow: bool = True) -> None:
        """Change the size of both."""
        self.screen.resize(columns, rows, reflow=reflow)
        self.console.width, self.console.height = columns, rows


class Viewed(Shown):
    """A live view at a time that the test chooses."""

    def __init__(self, *, verbose: bool = False) -> None:
        super().__init__()
        self.now = 100.0
        self.view = LiveView(self.console, lambda: self.now, verbose=verbose)

    def take(self, name: str, **fields: Any) -> list[str]:
        """Return what is on the screen after an event, and after the time of a drawing."""
        self.view.take(event_of(name, fields))
        self.now += REFRESH
        return self.screen.lines

    def start(self) -> list[str]:
        """A run begins."""
        return self.take("run.started", run="r", version="1", recipe="web", workers=2, out="/out", watching=False)


HEADER = "mediactl 1: recipe web, 2 workers, to /out"


def test_recipe_and_output_directory_are_shown_first_and_last() -> None:
    viewed = Viewed()
    assert viewed.start()[0] == HEADER
    fields: dict[str, Any] = dict.fromkeys(
        ("sources", "up_to_date", "rejected", "quarantined", "unfinished", "ignored", "troubles", "jobs", "artefacts",
         "uploaded", "bytes_in", "bytes_out", "bytes_sent", "exit_code", "internal_errors", "done"), 0,
    )  # fmt: skip
    lines = viewed.take("summary", **fields, elapsed_s=1.0, internal_error="")
    assert lines == [HEADER, "nothing to do: no images, videos or audio found in 1.0 s",
                     "recipe web, outputs in /out"]  # fmt: skip


def test_a_stopping_run_counts_down_and_says_how_to_stop_it_now() -> None:
    viewed = Viewed()
    viewed.start()
    viewed.take("tick", running=2)
    fields = {"reason": "asked to stop", "cause": "signal", "signal": "SIGINT", "jobs": 2, "grace_s": 25.0}
    lines = viewed.take("run.stopping", **fields)
    assert lines[-1] == "Stopping: finishing 2 jobs, up to 25 s. Ctrl-C again stops now."
    viewed.now += 9.9
    assert viewed.take("tick", running=1)[-1] == "Stopping: finishing 1 job, up to 15 s. Ctrl-C again stops now."
    viewed.screen.feed(b"^C")
    assert viewed.take("tick", running=0)[1:] == ["0 of 0+ sources ━" + viewed.screen.lines[1][17:],
                                                  "Stopping: no jobs are running."]  # fmt: skip


def test_nothing_of_the_view_is_left_when_the_run_is_suspended() -> None:
    viewed = Viewed()
    viewed.start()
    assert len(viewed.take("tick", running=1)) == 2
    assert viewed.take("suspending") == [HEADER]
    viewed.screen.feed(b"[1]+ Stopped\r\n$ fg\r\n")
    viewed.take("tick", running=1)
    lines = viewed.take("tick", running=1)
    assert (lines[:3], len(lines)) == ([HEADER, "[1]+ Stopped", "$ fg"], 4)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.lists(
        st.tuples(st.integers(20, 120), st.lists(st.integers(0, 130), max_size=4), st.booleans()),
        min_size=1, max_size=6,
    ),
    st.booleans(),
)  # fmt: skip
def test_no_row_stays_behind_whatever_becomes_of_the_window(
    steps: list[tuple[int, list[int], bool]], reflow: bool
) -> None:
    shown = Shown(60)
    region = Region(shown.console, reflows=reflow)
    printed: list[str] = []
    for number, (columns, widths, prints) in enumerate(steps):
        shown.resize(columns, reflow=reflow)
        rows = [Text("x" * width, no_wrap=True, overflow="crop") for width in widths]
        above = [f"line {number}"] if prints else []
        region.replace([Text(each) for each in above], Group(*rows))
        printed += above
        drawn = [each for each in shown.screen.lines if "x" in each]
        assert len(drawn) == sum(1 for width in widths if width), shown.screen.text
        assert [each for each in shown.screen.lines if "x" not in each] == printed


def test_text_is_broken_between_words_and_paths_stay_whole() -> None:
    path = "/srv/" + "x" * 40
    lines = [each.plain for each in wrapped(Text(f"to {path}\nrejected: 画像.jpg: is truncated"), 20)]
    assert lines == ["to", path, "rejected: 画像.jpg:", "is truncated"]
    shown = Shown(20)
    Region(shown.console).replace([Text(f"to {path}")])
    assert "".join(shown.screen.lines) == f"to{path}"


def test_rows_that_do_not_fit_are_not_drawn() -> None:
    shown = Shown(40, 5)
    region = Region(shown.console)
    for _ in range(3):
        region.replace([], Text("\n".join("x" * number for number in range(1, 9))))
    assert shown.screen.lines == ["x", "xx", "xxx", "xxxx"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.3, "a few seconds left"), (9.9, "a few seconds left"), (10.1, "about 10 s left"), (57.4, "about 55 s left"),
        (58, "about 1 min left"), (89, "about 1 min left"), (3560, "about 59 min left"), (3599, "about 1 h left"),
        (7811, "about 2 h 10 min left"), (35_700, "about 10 h left"), (100_000, "about 28 h left"),
        (180_000, "about 2 days left"),
    ],
)  # fmt: skip
def test_times_that_are_left_are_rounded_for_people(seconds: float, text: str) -> None:
    assert remaining(seconds) == text


@given(st.floats(0, 10**7))
def test_rounding_is_never_off_by_much(seconds: float) -> None:
    text = remaining(seconds)
    units = {"s": 1, "min": 60, "h": 3600, "days": 86_400}
    words = text.removeprefix("about ").removesuffix(" left").split()
    if text != "a few seconds left":
        said = sum(int(number) * units[unit] for number, unit in zip(words[::2], words[1::2], strict=True))
        assert abs(said - seconds) <= max(3.0, seconds * 0.35)
        assert 0 not in map(int, words[::2]), text
