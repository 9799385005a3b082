"""Events for their readers: the JSON Schema, and the reference in docs/events.md, both made from the Structs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from mediactl.core import json_schema
from mediactl.model.events import AnyEvent, Event, JobEvent

EVENTS: tuple[type[Event], ...] = get_args(AnyEvent)
TITLE = "mediactl event"


def schema() -> dict[str, Any]:
    """Return the JSON Schema of one event, in draft 2020-12.

    It is open: a later version may add fields.
    """
    names = {_tag(event): f"#/$defs/{event.__name__}" for event in EVENTS}
    return {
        "$schema": json_schema.DIALECT,
        "title": TITLE,
        "description": "One line of `--json`; see docs/events.md.",
        "oneOf": [{"$ref": name} for name in names.values()],
        "discriminator": {"propertyName": "event", "mapping": names},
        "$defs": json_schema.definitions(*EVENTS),
    }


def reference() -> Iterator[str]:
    """Yield the lines of the Markdown reference: the common fields, then each event with its own."""
    common = json_schema.definitions(Event, JobEvent)
    parts = json_schema.definitions(*EVENTS)
    common["Event"]["properties"]["event"] = {"type": "string", "description": "Name of the event."}
    yield "### Every event"
    yield ""
    yield from _table(common["Event"], parts, without=set())
    yield "### Every `job.*` event, and `upload.done`"
    yield ""
    yield from _table(common["JobEvent"], parts, without=set(common["Event"]["properties"]))
    for event in EVENTS:
        base = "JobEvent" if issubclass(event, JobEvent) else "Event"
        yield f"### `{_tag(event)}`"
        yield ""
        yield _prose(parts[event.__name__])
        yield ""
        yield from _table(parts[event.__name__], parts, without=set(common[base]["properties"]))


def _tag(event: type[Event]) -> str:
    return str(event.__struct_config__.tag)


def _prose(part: dict[str, Any]) -> str:
    return " ".join(part["description"].split())


def _table(part: dict[str, Any], parts: dict[str, Any], *, without: set[str]) -> Iterator[str]:
    """Yield a table of the fields of a Struct, and one of each Struct that they hold."""
    fields = {name: field for name, field in part["properties"].items() if name not in without}
    if not fields:
        return
    yield "| field | type | description |"
    yield "|---|---|---|"
    held: list[str] = []
    for name, field in fields.items():
        optional = "" if name in part["required"] else ", optional"
        yield f"| `{name}` | {_type(field, parts, held)}{optional} | {field.get('description', '')} |"
    yield ""
    for name in held:
        yield f"{name}: {_prose(parts[name])}"
        yield ""
        yield from _table(parts[name], parts, without=set())


def _type(field: dict[str, Any], parts: dict[str, Any], held: list[str]) -> str:
    """Return the type of a field in words; Structs in it are added to ``held``."""
    match field:
        case {"$ref": str(reference)}:
            name = reference.rpartition("/")[2]
            if "enum" in parts[name]:
                return " / ".join(parts[name]["enum"])
            held.append(name)
            return name
        case {"enum": [*values]}:
            return " / ".join(values)
        case {"type": "array", "items": items}:
            return f"array of {_type(items, parts, held)}"
        case {"type": "object", "additionalProperties": values}:
            return f"object of {_type(values, parts, held)}"
    return str(field["type"])
