"""The command ``metrics``. Imports are lazy, as in ``cli``."""

from __future__ import annotations

import click

from mediactl.commands.shared.options import journal_options, state_folder
from mediactl.commands.shared.sections import LOOK, Command


@click.command(
    cls=Command,
    section=LOOK,
    order=1,
    examples=(
        "metrics",
        "metrics -o /srv/derived",
        "metrics -o /srv/derived --format prometheus > mediactl.prom",
    ),
)
@journal_options
@click.option("--format", "text_format", type=click.Choice(["openmetrics", "prometheus"]), default="openmetrics",
              show_default=True, help="Format; prometheus: for the textfile collector of node_exporter.")  # fmt: skip
def metrics(out: bytes, state: str | None, text_format: str) -> None:
    """Print metrics of the journal for Prometheus.

    Needs no active run. Counters are kept in the journal: neither the end of a run nor pruning resets them.
    """
    import time

    from mediactl.commands.shared.monitoring import build
    from mediactl.jobs import report
    from mediactl.monitor import openmetrics

    with report.read(state_folder(out, state)) as rows:
        figures = rows.figures(time.time())
    text = openmetrics.prometheus_text if text_format == "prometheus" else openmetrics.openmetrics_text
    click.echo(text(figures, build()), nl=False)
