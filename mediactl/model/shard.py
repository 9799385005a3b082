"""The part of all sources that one machine of several takes."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

ShardBy = Literal["path", "work"]
"""What decides which shard a source is in: its own path, or the predicted seconds of all."""
SHARD_BY: tuple[ShardBy, ...] = get_args(ShardBy)


class Shard(msgspec.Struct, frozen=True):
    """Shard ``number`` of ``of``, from 1."""

    number: int
    of: int
    by: ShardBy = "path"
