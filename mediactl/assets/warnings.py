"""Warnings of an asset: about its source, about the asset as a whole, and about each of its artefacts. Pure.

Those of the first two kinds are found again whenever the asset is completed. An artefact is made once, so what was
noticed then stays with it: with its key, while it is kept or linked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mediactl.model.assets import AssetWarning


def about(key: str, warnings: Iterable[AssetWarning]) -> tuple[str, ...]:
    """Return those of an asset's warnings that are about the artefact with a key, or may be."""
    return tuple(each.text for each in warnings if each.keys is None or key in each.keys)


def collected(
    source: Iterable[str], whole: Iterable[str], artefacts: Mapping[str, Iterable[str]], sizes: Iterable[str]
) -> tuple[AssetWarning, ...]:
    """Return an asset's warnings, each once: about its source, the asset as a whole, its artefacts (by key, in their
    order), and their sizes."""
    first, last = dict.fromkeys((*source, *whole)), dict.fromkeys(sizes)
    keys: dict[str, dict[str, None]] = {}
    for key, texts in artefacts.items():
        for text in texts:
            if text not in first and text not in last:
                keys.setdefault(text, {})[key] = None
    return (
        *(AssetWarning(text) for text in first),
        *(AssetWarning(text, tuple(of)) for text, of in keys.items()),
        *(AssetWarning(text) for text in last if text not in first),
    )
