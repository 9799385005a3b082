"""A recipe's outputs, resolved for one source: names, parameters, keys. Pure: the same values in, the same keys out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mediactl.model.assets import Target
from mediactl.model.media import Kind, MediaInfo
from mediactl.outputs.base import Output, P, Params, digest_of
from mediactl.outputs.cutting import Cutting
from mediactl.recipe.conditions import holds
from mediactl.recipe.loader import Recipe

Versions = Mapping[str, str]
"""Encoder ("image", "ffmpeg") -> series, as ``media.ffmpeg.versions`` returns it."""


def targets(recipe: Recipe, kind: Kind, info: MediaInfo, digest: str, versions: Versions) -> tuple[Target[Params], ...]:
    """Return every artefact of a source, in the order of the recipe; playlists after what they name."""
    return tuple(target for _, made in by_output(recipe, kind, info, digest, versions) for target in made)


def by_output(
    recipe: Recipe, kind: Kind, info: MediaInfo, digest: str, versions: Versions
) -> Iterator[tuple[Output, list[Target[Params]]]]:
    """Yield the same by output; those whose condition is false are left out."""
    asset = KeyedAsset(info, recipe.cutting, digest, versions)
    for output in recipe.outputs(effective_kind(kind, info)):
        if holds(output.when, info):
            yield output, list(output.resolve(asset))


def effective_kind(kind: Kind, info: MediaInfo) -> Kind:
    """Return what a source is made into: a video container without a video stream is audio."""
    return Kind.AUDIO if kind is Kind.VIDEO and info.video is None else kind


class KeyedAsset:
    """The asset of a source of this digest, whose targets get their keys."""

    def __init__(self, info: MediaInfo, cutting: Cutting, digest: str, versions: Versions) -> None:
        self.info = info
        self.cutting = cutting
        # Of files whose clock jumps, other outputs were made before they were read with time stamps that continue.
        self._digest = digest_of(digest, "continuous") if info.discontinuities else digest
        self._versions = versions

    def target(self, name: str, role: str, params: P) -> Target[P]:
        """Return the target of a file name, a role and an operation, with its key."""
        return Target(name, role, params, key(self._digest, params, self._versions))


def key(digest: str, params: Params, versions: Versions) -> str:
    """Return an artefact's identity: what went in, what was done, by which code. 32 hex digits."""
    return digest_of(
        digest, params.operation(), params.given(), params.version, [versions[encoder] for encoder in params.encoders]
    )
