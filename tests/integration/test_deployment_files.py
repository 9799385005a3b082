"""Container, compose, Kubernetes, GitHub: valid by their schemas, and with commands that this mediactl understands."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from conftest import ROOT

from mediactl.cli import cli

KUBERNETES = sorted((ROOT / "packaging/kubernetes").glob("*.yaml"))
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
CONTAINERFILE = (ROOT / "Containerfile").read_text()
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())


def parsed(arguments: list[str]) -> dict[str, Any]:
    """Parse a command line; its parameters. Raises click's UsageError."""
    context = click.Context(cli, info_name="mediactl")
    command = cli.get_command(context, arguments[0])
    if "--broker" in arguments and cli.get_command(context, "worker") is None:
        pytest.skip("no broker here")
    assert command is not None, arguments
    return command.make_context(arguments[0], arguments[1:], parent=context).params


def containers(document: Any) -> Iterator[dict[str, Any]]:
    """Yield the containers anywhere in a manifest."""
    if isinstance(document, dict):
        yield from document.get("containers", [])
        for value in document.values():
            yield from containers(value)


@pytest.mark.parametrize("file", KUBERNETES, ids=lambda file: file.stem)
def test_manifests_are_valid(file: Path) -> None:
    kubernetes = pytest.importorskip("kubernetes_validate")
    (document,) = yaml.safe_load_all(file.read_text())
    if document["apiVersion"].startswith("keda.sh/"):
        # KEDA's own schema is no part of Kubernetes: what metrics-api requires is compared instead.
        (trigger,) = document["spec"]["triggers"]
        assert trigger["type"] == "metrics-api"
        assert {"url", "valueLocation", "targetValue"} <= set(trigger["metadata"])
        assert all(isinstance(value, str) for value in trigger["metadata"].values())
        return
    kubernetes.validate(document, kubernetes.latest_version(), strict=True)


def test_the_scaled_object_scales_the_deployment() -> None:
    named = {(each := yaml.safe_load(file.read_text()))["kind"]: each for file in KUBERNETES}
    assert named["ScaledObject"]["spec"]["scaleTargetRef"]["name"] == named["Deployment"]["metadata"]["name"]


@pytest.mark.parametrize("file", [file for file in KUBERNETES if file.stem != "keda"], ids=lambda file: file.stem)
def test_containers_are_confined_and_run_what_is_understood(file: Path) -> None:
    (container,) = containers(yaml.safe_load(file.read_text()))
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    found = parsed(container["args"])
    (seconds,) = re.findall(r"terminationGracePeriodSeconds: (\d+)", file.read_text())
    assert found["grace"] < int(seconds)
    if file.stem == "workers":
        assert found["drain_file"] in container["lifecycle"]["preStop"]["exec"]["command"][-1]


@pytest.mark.parametrize(
    ("schema", "file"),
    [
        ("vendor.compose-spec", "compose.yaml"),
        ("vendor.github-actions", "action.yml"),
        ("vendor.github-workflows", ".github/workflows/release.yml"),
        ("custom.github-workflows-require-timeout", ".github/workflows/release.yml"),
    ],
)
def test_files_are_valid_by_their_schema(schema: str, file: str) -> None:
    pytest.importorskip("check_jsonschema")
    command: list[str | Path] = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, ROOT / file]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout


@pytest.mark.parametrize("service", ["worker", "process"])
def test_services_of_compose_run_what_is_understood(service: str) -> None:
    found = COMPOSE["services"][service]
    assert (found["read_only"], found["cap_drop"]) == (True, ["ALL"])
    parsed(found["command"])


def test_the_image_runs_as_a_user_without_privileges_what_is_understood() -> None:
    lines = CONTAINERFILE.replace("\\\n", " ").splitlines()
    instructions = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
    last = dict(instructions)
    assert int(last["USER"]) > 0
    assert yaml.safe_load(last["ENTRYPOINT"]) == ["mediactl"]
    parsed(yaml.safe_load(last["CMD"]))
    check = yaml.safe_load(last["HEALTHCHECK"].partition("CMD ")[2])[-1].partition(";")[0]
    assert parsed(shlex.split(check)[1:])
    for name in re.findall(r"MEDIACTL_(\w+)=", CONTAINERFILE):
        assert name.lower() in {each.name for each in cli.get_command(click.Context(cli), "watch").params}  # type: ignore[union-attr]


def test_the_action_runs_what_is_understood(tmp_path: Path) -> None:
    """Its own script, with a directory that is empty: nothing to do, and the outputs say so."""
    (step,) = [step for step in ACTION["runs"]["steps"] if step.get("id") == "process"]
    (tmp_path / "mediactl/bin").mkdir(parents=True)
    (tmp_path / "mediactl/bin/mediactl").symlink_to(Path(sys.executable).parent / "mediactl")
    (tmp_path / "photos").mkdir()
    ended = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", step["run"]],
        cwd=tmp_path, capture_output=True, text=True, timeout=150,
        env={"PATH": "/usr/bin:/bin", "RUNNER_TEMP": str(tmp_path), "GITHUB_OUTPUT": str(tmp_path / "outputs"),
             "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"), "SOURCE": "photos", "OUT": "derived",
             "RECIPE": "thumbnails", "ARGUMENTS": "--strict --jobs 1", "HOME": str(tmp_path)},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert (tmp_path / "outputs").read_text() == "exit-code=0\n"
    assert (tmp_path / "mediactl-report.html").stat().st_size > 1000


def test_a_run_is_its_own_init_on_a_read_only_root(tmp_path: Path) -> None:
    """As the first process of a namespace, with nothing to write to but two directories, it drains on SIGTERM."""
    unshare = shutil.which("unshare")
    made = ["--user", "--map-root-user", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc"]
    if unshare is None or subprocess.run([unshare, *made, "true"], capture_output=True).returncode:
        pytest.skip("no namespaces here")
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    shutil.copy(ROOT / "samples/balloon.png", tmp_path / "in")
    program = Path(sys.executable).parent / "mediactl"
    script = (
        f'mount --bind "{tmp_path}/out" "{tmp_path}/out" && mount -o remount,ro,bind / && mount -t tmpfs tmpfs /dev/shm'
        f' && ! touch "{ROOT}/here" 2>/dev/null && exec "{program}" watch "{tmp_path}/in" --out "{tmp_path}/out"'
        f" --cache none --recipe thumbnails --json"
    )
    with subprocess.Popen([unshare, *made, "sh", "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if '"job.done"' in line and '"made"' in line:
                break
        child = int(subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()[0])
        subprocess.run(["kill", "-TERM", str(child)], check=True)
        rest = process.stdout.read()
        assert process.wait(60) == 0, rest
    assert (tmp_path / "out/balloon.png/w320.webp").exists()
