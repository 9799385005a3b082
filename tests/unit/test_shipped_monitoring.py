"""The alert rules and the dashboard in packaging/ ask for metrics and labels that exist."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest
from conftest import ROOT
from prometheus_client.parser import text_string_to_metric_families

from mediactl.model.figures import AttemptCount, Build, Figures, JobCount, Oldest, Timing
from mediactl.model.jobs import Priority
from mediactl.model.verdict import Verdict
from mediactl.monitor.openmetrics import prometheus_text

RULES = ROOT / "packaging/prometheus/mediactl.rules.yml"
DASHBOARD = ROOT / "packaging/grafana/mediactl.json"
TIMING = Timing("image", ((1.0, 1), (float("inf"), 2)), 3.0)
FIGURES = Figures(
    time=0.0, jobs=(JobCount("quick", Priority.NORMAL, "ready", 1),),
    oldest=(Oldest("quick", Priority.NORMAL, 2.0, 1.0),),
    runs=(TIMING,), waits=(TIMING,), attempts=(AttemptCount("image", "done", 2),), bytes={"in": 1},
    artefacts={"variant": 1}, work={"quick": 1.0}, workers={"busy": 1}, quarantined=1, last_success=1.0,
    last_exit_code=0,
)  # fmt: skip
TEXT = prometheus_text(FIGURES, Build("1", "9.0", "8.18"))
TOOL = shutil.which("promtool")


def queries() -> list[str]:
    """Every expression."""
    rules = RULES.read_text()
    found = re.findall(r"expr: (?:>-\n)?((?:.+)(?:\n {10}\S.*)*)", rules)
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return found + [target["expr"] for panel in panels for target in panel["targets"]]


def exported() -> dict[str, set[str]]:
    """Name -> labels of every sample."""
    return {
        sample.name: set(sample.labels) for family in text_string_to_metric_families(TEXT) for sample in family.samples
    }


def test_every_metric_and_label_exists() -> None:
    known, seen = exported(), set()
    for query in queries():
        for name, selector in re.findall(r"(mediactl_\w+)(?:\{([^}]*)\})?", query):
            seen.add(name)
            assert name in known, query
            assert set(re.findall(r"(\w+)=", selector)) <= known[name] | {"instance"}, query
    assert len(queries()) > 20
    missing = {re.sub(r"_(bucket|sum|count)$", "", name) for name in known}
    missing -= {re.sub(r"_bucket$", "", name) for name in seen}
    assert not missing, "the dashboard shows all of them"


def test_outcomes_of_the_rules_are_outcomes_of_attempts() -> None:
    for outcomes in re.findall(r'outcome=~"([^"]*)"', RULES.read_text()):
        assert set(outcomes.split("|")) <= {verdict.value for verdict in Verdict}


@pytest.mark.skipif(TOOL is None, reason="no promtool (Debian: prometheus)")
def test_promtool_finds_nothing() -> None:
    assert TOOL is not None
    subprocess.run([TOOL, "check", "rules", RULES], check=True)
    done = subprocess.run([TOOL, "check", "metrics"], input=TEXT, text=True, capture_output=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
