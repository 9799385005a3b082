"""What workers can reach, and what nothing that they decode can."""

from __future__ import annotations

import json
import os
import select
import shutil
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import pyvips
from conftest import ROOT, CommandLine, Result
from support import attack_output, attacks
from support.films import make

from mediactl.core.sandbox import layers, workspace
from mediactl.media.ffmpeg.bundled import bundled_ffmpeg
from mediactl.pool.process import network_environment, worker_environment

CANARY = "canary-credential"
PARENT = {
    "AWS_ACCESS_KEY_ID": CANARY, "AWS_SECRET_ACCESS_KEY": CANARY, "HOME": f"/home/{CANARY}", "TOKEN": CANARY,
    "MEDIACTL_DRAIN_URL": f"http://{CANARY}@localhost", "SSH_AUTH_SOCK": f"/run/{CANARY}",
    "PATH": "/bin", "LC_ALL": "C", "PYTHONPATH": "/plug-ins", "MEDIACTL_FFMPEG": "/opt/ffmpeg",
}  # fmt: skip


def test_workers_inherit_no_credentials_but_the_one_that_uploads() -> None:
    inherited = worker_environment(PARENT)
    assert CANARY not in str(inherited)
    assert {
        name: PARENT[name] for name in ("PATH", "LC_ALL", "PYTHONPATH", "MEDIACTL_FFMPEG")
    }.items() <= inherited.items()
    assert PARENT.items() <= network_environment(PARENT).items()


# -- from inside -------------------------------------------------------------------------------------------------------

RECIPE = """
name = "attack"
placeholder = "none"
[[attack]]
name = "attack"
facts = {facts!r}
"""
KINDS = ("image", "video")
COMPLETE = not layers.missing()
ATTEMPTS = [name for name, _ in attacks.attempts(dict.fromkeys(("home", "own", "out", "journal", "neighbour", "port",
    "socket", "abstract", "fd", "worker"), "1"))]  # fmt: skip

GAINED = ("reading a file", "environment of its parent", "TCP", "an abstract Unix socket", "a shell", "64 GB of memory")
"""Attempts that succeed with `--sandbox off`, and change nothing."""


class Site:
    """A plug-in that attacks, what it attacks, and a program in place of ffmpeg that does the same."""

    def __init__(self, mediactl: CommandLine, folder: Path) -> None:
        self.mediactl, self.folder = mediactl, folder
        self.out = folder / "out"
        (folder / "in").mkdir()
        pyvips.Image.black(24, 16, bands=3).jpegsave(str(folder / "in" / "image.jpg"))
        site = folder / "site"
        site.mkdir()
        for module in (attacks, attack_output):
            shutil.copy(str(module.__file__), site)
        about = site / "attack-1.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: attack\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text("[mediactl.outputs]\nattack = attack_output:AttackOutput\n")
        self.environment = {"PYTHONPATH": f"{site}{os.pathsep}{ROOT}", "MEDIACTL_CACHE": "none"}

    def write(self, **facts: str) -> None:
        """Write the recipe with what is attacked."""
        (self.folder / "attack.toml").write_text(RECIPE.format(facts=json.dumps(facts)))

    def run(self, *flags: str, **environment: str) -> Result:
        """Run it."""
        return self.mediactl(
            "process", "in", "--out", "out", "--recipe", "attack.toml", "--json", *flags,
            environment={**self.environment, **environment},
        )  # fmt: skip


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return how attempts ended, by kind of source, then by who made them; and "heard", what listeners were sent."""
    folder = tmp_path_factory.mktemp("attacked")
    site = Site(CommandLine(folder), folder)
    make(folder / "in" / "video.mp4", "-f", "lavfi", "-i", "testsrc2=s=64x48:r=10:d=1", "-c:v", "libx264")
    home = folder / "home"
    (home / ".aws").mkdir(parents=True)
    (home / ".aws" / "credentials").write_text(CANARY)
    (home / "canary").write_text(CANARY)
    with ExitStack() as stack:
        tcp, udp, unix, abstract = (
            stack.enter_context(socket.socket(family, kind))
            for family, kind in (
                (socket.AF_INET, socket.SOCK_STREAM), (socket.AF_INET, socket.SOCK_DGRAM),
                (socket.AF_UNIX, socket.SOCK_STREAM), (socket.AF_UNIX, socket.SOCK_STREAM),
            )
        )  # fmt: skip
        tcp.bind(("127.0.0.1", 0))
        udp.bind(tcp.getsockname())
        unix.bind(str(folder / "socket"))
        abstract.bind(f"\0{folder}")
        for listener in (tcp, unix, abstract):
            listener.listen()
        facts = {
            "home": str(home), "out": str(site.out), "journal": str(site.out / ".mediactl" / "journal.db"),
            "neighbour": str(folder / "in" / "neighbour.txt"), "port": str(tcp.getsockname()[1]),
            "socket": str(folder / "socket"), "abstract": str(folder),
        }  # fmt: skip
        (folder / "in" / "neighbour.txt").write_text(CANARY)
        site.write(**facts)
        program = folder / "ffmpeg"
        code = Path(str(attacks.__file__)).read_text().replace('FFMPEG = ""', f"FFMPEG = {bundled_ffmpeg()!r}")
        program.write_text(f"#!{os.path.realpath(sys.executable)}\n{code}")
        program.chmod(0o755)
        secrets = {"AWS_SECRET_ACCESS_KEY": CANARY, "AWS_ACCESS_KEY_ID": CANARY, "HOME": str(home)}
        done = site.run("-j", "1", "--ffmpeg", str(program), **secrets)
        assert done.code == 0, done
        heard = [listener for listener in (tcp, udp, unix, abstract) if select.select([listener], [], [], 0)[0]]
        # The same with nothing around it: what is refused above is what these gain.
        (folder / "in" / "video.mp4").unlink()
        site.write(**facts, only=",".join(GAINED))
        done = site.run("-j", "1", "--ffmpeg", str(program), "--sandbox", "off", "--out", "open", **secrets)
        assert done.code == 0, done
        gained = json.loads((folder / "open" / "image.jpg" / "attack.json").read_text())
    found = {kind: json.loads(next(site.out.glob(f"{kind}.*/attack.json")).read_text()) for kind in KINDS}
    return {**found, "heard": heard, "open": gained, "canaries": sorted(path.name for path in home.iterdir())}


@pytest.mark.skipif(not COMPLETE, reason=f"this kernel lacks {layers.missing()}")
@pytest.mark.parametrize("attempt", ATTEMPTS)
@pytest.mark.parametrize("who", ["plug-in", "ffmpeg"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_decodes_is_refused(attacked: dict[str, Any], kind: str, who: str, attempt: str) -> None:
    if (who, attempt) == ("ffmpeg", "opening the source again"):
        pytest.skip("it is given the descriptor of an input alone")
    assert attacked[kind][who][attempt].startswith(attacks.REFUSED)


def test_without_a_sandbox_it_is_not(attacked: dict[str, Any]) -> None:
    assert [attacked["open"]["plug-in"][name].split()[0] for name in GAINED] == ["gained"] * len(GAINED)


@pytest.mark.skipif(not COMPLETE, reason=f"this kernel lacks {layers.missing()}")
def test_nothing_left_the_sandbox(attacked: dict[str, Any]) -> None:
    assert not attacked["heard"]
    assert attacked["canaries"] == [".aws", "canary"]
    assert all(CANARY not in str(attacked[kind]["environment"]) for kind in KINDS)
    assert all("HOME" not in attacked[kind]["environment"] for kind in KINDS)


# -- its end -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("does", "reason"),
    [
        ("multiply", "started more than 32 processes"),
        ("crash", "its worker was killed by SIGSEGV"),
        ("hang", "took longer than its limit of 3 s"),
    ],
)
def test_its_end_is_the_end_of_its_worker_alone(mediactl: CommandLine, does: str, reason: str) -> None:
    site = Site(mediactl, mediactl.folder)
    pyvips.Image.black(25, 17, bands=3).jpegsave(str(mediactl.folder / "in" / "good.jpg"))
    site.write(does=does)
    (mediactl.folder / "attack.toml").open("a").write(
        'when = "width == 24"\n[[image]]\nname = "w"\nwidth = 8\n[run]\nseconds = 3\n'
    )
    done = site.run("-j", "2", "--attempts", "1")
    reasons = [event["reason"] for event in done.events if event["event"] == "job.quarantined"]
    assert (done.code, done.summary["done"], reasons) == (1, 1, [reason])
    assert not (site.out / ".mediactl-sandbox").exists()
    assert not (site.out / "image.jpg").exists() or not list((site.out / "image.jpg").iterdir())


def test_a_workspace_lasts_as_long_as_its_process(tmp_path: Path) -> None:
    out = os.fsencode(tmp_path)
    alive = workspace.Workspace(out)
    (tmp_path / ".mediactl-sandbox" / "begun").mkdir()
    left = subprocess.run(
        [sys.executable, "-c", f"import os; from mediactl.core.sandbox.workspace import Workspace; Workspace({out!r})"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
    )
    assert left.returncode == 0
    assert len(os.listdir(tmp_path / ".mediactl-sandbox")) == 3
    workspace.sweep(out)
    assert os.listdir(os.fsencode(tmp_path / ".mediactl-sandbox")) == [os.path.basename(alive.folder)]
    alive.close()
    assert not os.listdir(tmp_path)
