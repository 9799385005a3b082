"""The Python API as a module of stubs, of which griffe finds what would break callers; as a script, print it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import mediactl
from mediactl.api.options import Options, RunOptions


def text() -> str:
    """Return the stubs of all that ``mediactl`` exports, by name, and of the options that its calls have."""
    exported = {name: getattr(mediactl, name) for name in sorted(mediactl.__all__) if not name.startswith("_")}
    found = {**exported, "Options": Options, "RunOptions": RunOptions}
    return "\n\n".join("\n".join(_lines(name, value)) for name, value in found.items()) + "\n"


def _lines(name: str, value: Any) -> Iterator[str]:
    if not inspect.isclass(value):
        yield _function(name, value)
        return
    bases = ", ".join(base.__name__ for base in value.__bases__ if base.__module__.startswith("mediactl"))
    yield f"class {name}({bases}):" if bases else f"class {name}:"
    yield "    ..."
    for field, kind in inspect.get_annotations(value).items():
        if not field.startswith("_"):
            yield f"    {field}: {kind if isinstance(kind, str) else getattr(kind, '__forward_arg__', kind)}"
    for member, found in vars(value).items():
        if isinstance(found, property):
            yield f"    {member}: {inspect.signature(found.fget).return_annotation}"  # type: ignore[arg-type]
        elif inspect.isfunction(found) and (not member.startswith("_") or member in ("__init__", "__enter__")):
            yield f"    {_function(member, found)}"


class _Annotation(str):
    """An annotation, which ``inspect`` would quote."""

    def __repr__(self) -> str:
        return str(self)


def _function(name: str, function: Any) -> str:
    start = "async def" if inspect.iscoroutinefunction(function) else "def"
    found = inspect.signature(function)
    parameters = [
        each.replace(annotation=_Annotation(each.annotation)) if isinstance(each.annotation, str) else each
        for each in found.parameters.values()
        if each.kind is not inspect.Parameter.VAR_KEYWORD  # the options, which would hide that a parameter has gone
    ]
    signature = found.replace(parameters=parameters, return_annotation=_Annotation(found.return_annotation))
    return f"{start} {name}{signature}: ..."


if __name__ == "__main__":
    print(text(), end="")
