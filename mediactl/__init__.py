"""mediactl: a batch media processor for folders of photos, videos and audio.

The Python API (docs/python-api.md) is what ``__all__`` names; it is imported when it is first used. ``__init__.pyi``
has its types.
"""

__version__ = "0.1.0"

_HOMES = {
    "Artefact": "mediactl.model.assets",
    "Asset": "mediactl.api.asset",
    "Event": "mediactl.model.events",
    "Interrupted": "mediactl.core.errors",
    "JobFailed": "mediactl.core.errors",
    "Library": "mediactl.api.library",
    "MachineBlocked": "mediactl.core.errors",
    "MachineTrouble": "mediactl.core.errors",
    "MediactlError": "mediactl.core.errors",
    "Pending": "mediactl.api.library",
    "RejectedInput": "mediactl.core.errors",
    "Summary": "mediactl.model.events",
    "UsageError": "mediactl.core.errors",
    "make": "mediactl.api.calls",
    "make_async": "mediactl.api.calls",
    "open": "mediactl.api.library",
    "process": "mediactl.api.calls",
    "process_async": "mediactl.api.calls",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'mediactl' has no attribute {name!r}")
    from importlib import import_module

    found = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
