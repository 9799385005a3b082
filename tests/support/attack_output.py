"""An output of a plug-in, ``[[attack]]``, whose maker does what ``attacks`` describes instead of decoding."""

from __future__ import annotations

import importlib
import json
import os
import signal
from collections.abc import Iterator
from typing import Any

from mediactl.media.drafts import Draft, Drafts, Request
from mediactl.media.ffmpeg import process
from mediactl.model.assets import Target, made_by
from mediactl.model.media import Kind
from mediactl.outputs.base import AssetPlan, Output, Params


class AttackParams(Params, frozen=True, tag="attack"):
    """What is attacked."""

    maker = "attack_output:make"

    facts: str
    """Names of targets of attacks, as JSON."""


class AttackOutput(Output, frozen=True):
    """How each attempt ended, as JSON."""

    table = "attack"
    kinds = (Kind.IMAGE, Kind.VIDEO)
    operations = (AttackParams,)
    roles = ("attack",)

    facts: str = "{}"
    """See AttackParams."""
    when: str = ""
    """Condition."""

    @property
    def file_name(self) -> str:
        """Name of the artefact's file."""
        return f"{self.name}.json"

    def resolve(self, asset: AssetPlan) -> Iterator[Target[Params]]:
        """Yield the one target."""
        yield asset.target(self.file_name, "attack", AttackParams(self.facts))


def make(request: Request) -> Drafts:
    """Attack."""
    return Drafts(tuple(_attacked(request, target) for target in made_by(request.targets, AttackParams)))


def _attacked(request: Request, target: Target[AttackParams]) -> Draft:
    attacks: Any = importlib.import_module("attacks")

    facts = json.loads(target.params.facts)
    if facts.get("does") == "multiply":
        attacks.multiply()
    if facts.get("does") == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if facts.get("does") == "hang":
        while True:
            signal.pause()
    path = request.temporary(target.name)
    own = os.path.dirname(path)
    facts |= {"own": os.fsdecode(own), "worker": str(os.getppid())}
    found = {"plug-in": attacks.results({**facts, "fd": str(request.fd)})}
    process.run(
        ["-i", "fd:", "-facts", json.dumps(facts)], input_fd=request.fd, folder=own, expected=1.0, rate=None,
        report=request.report,
    )  # fmt: skip
    with open(os.path.join(own, b"ffmpeg.json"), "rb") as file:
        found["ffmpeg"] = json.load(file)
    found["environment"] = dict(os.environ)
    with open(path, "w") as written:
        json.dump(found, written)
    return Draft(target, path, "application/json")
