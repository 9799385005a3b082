"""The command ``demo``. Imports are lazy, as in ``cli``."""

from __future__ import annotations

import os

import click

from mediactl.commands.shared.sections import OTHER, Command
from mediactl.core import system
from mediactl.core.errors import ExitCode, UsageError

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOLDERS = (os.path.join(_PACKAGE, "samples"), os.path.join(os.path.dirname(_PACKAGE), "samples"))
"""Where the samples are: in an installed package, and in a checkout."""
REPORT = "report.html"


@click.command(
    cls=Command,
    section=OTHER,
    order=1,
    exits=((0, "The samples were processed."), (2, "OUT cannot be written to."), (75, "Stopped early.")),
    examples=("demo", "demo -o /tmp/demo --no-open"),
)
@click.option("-o", "--out", default="mediactl-demo", show_default=True, metavar="DIR", help="Output directory.")
@click.option("--open/--no-open", "opens", default=None,
              help="Open the report in a browser.  [default: where there is a display]")  # fmt: skip
def demo(out: str, opens: bool | None) -> int:
    """Process the bundled samples and open the report.

    Six images, two videos, two audio files, and two that are broken on purpose, to show how they are reported.
    Settings files are not read, and nothing is uploaded.
    """
    from mediactl.commands.process import process

    report = os.path.join(out, REPORT)
    os.makedirs(out, exist_ok=True)
    context = process.make_context("process", [_samples(), "--out", out, "--recipe", "web", "--report", report])
    context.params.update(to=None, include_originals=False)  # an environment variable may name a bucket
    with context:
        code = process.invoke(context)
    if code not in (ExitCode.COMPLETE, ExitCode.BAD_SOURCES):
        return int(code)
    click.echo(f"report: {report}; outputs: {out}; two samples are broken on purpose")
    if _has_display() if opens is None else opens:
        import webbrowser
        from urllib.parse import quote

        webbrowser.open(f"file://{quote(os.path.abspath(report))}")
    return ExitCode.COMPLETE


def _samples() -> str:
    """Return the directory of the samples. Raises UsageError."""
    found = next(filter(os.path.isdir, FOLDERS), None)
    if found is None:
        raise UsageError("samples: not part of this installation; install the wheel again")
    return found


def _has_display() -> bool:
    """Return whether a browser with windows can be opened from here."""
    return not system.LINUX or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
