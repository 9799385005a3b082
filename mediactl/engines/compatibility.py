"""Whether a machine can run the jobs of a run: the messages, the version, the encoders."""

from __future__ import annotations

from mediactl import __version__
from mediactl.engines.messages import SCHEMA, Machine, RemoteJob


def incompatible(machine: Machine) -> str:
    """Return why a machine cannot run jobs that this version publishes; "": it can."""
    if machine.schema != SCHEMA:
        return f"its mediactl {machine.version} uses message schema {machine.schema}, and this one {SCHEMA}; update it"
    if numbers(machine.version) < numbers(__version__):
        return f"its mediactl {machine.version} is older than {__version__}; update it"
    return ""


def unsuitable(job: RemoteJob, encoders: dict[str, str]) -> str:
    """Return why this machine, with these encoders, has to hand a job back; "": it can run it."""
    if numbers(job.version) > numbers(__version__):
        return f"its mediactl {__version__} is older than {job.version}; update it"
    differing = [name for name, series in job.encoders.items() if encoders.get(name) != series]
    if differing:
        return "; ".join(
            f"its {name} is {encoders.get(name, 'missing')}, and outputs require {job.encoders[name]}"
            for name in differing
        )
    return ""


def other_schema(schema: int, version: str) -> str:
    """Return why a message of another schema is handed back."""
    return f"its mediactl {__version__} uses message schema {SCHEMA}, and {version} publishes {schema}; update it"


def numbers(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version, for comparison."""
    found = []
    for part in version.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        found.append(int(digits))
    return tuple(found)
