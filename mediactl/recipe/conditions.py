"""Conditions of recipes ("width > 2000 and not animated") over what probing reads of a source.

simpleeval evaluates them. ``check`` refuses at load all but names, numbers, texts, comparisons, ``and``, ``or``,
``not`` and the four operations of arithmetic, and what mixes types: a condition that passed it is true or false of any
source, at a cost that its length bounds.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from mediactl.core.suggestions import did_you_mean
from mediactl.model import formats
from mediactl.model.media import Kind, MediaInfo

if TYPE_CHECKING:
    from simpleeval import SimpleEval

MOST_LETTERS = 500
"""Of one condition."""
MOST_LEVELS = 30
"""Of one condition's tree; people write five."""
MOST_NUMBER = 1e15
"""The largest number that may stand in one: a million times the pixels of any image."""
NUMBER, TEXT, TRUTH = "a number", "a text", "true or false"
_IMAGES, _VIDEOS, _AUDIO = frozenset({Kind.IMAGE}), frozenset({Kind.VIDEO}), frozenset({Kind.AUDIO})


class Known(NamedTuple):
    """A name that conditions may use: its type, its meaning, and the kinds of sources that have it."""

    type: str
    meaning: str
    kinds: frozenset[Kind]


NAMES = {
    "width": Known(NUMBER, "width in pixels, as displayed", _IMAGES | _VIDEOS),
    "height": Known(NUMBER, "height in pixels, as displayed", _IMAGES | _VIDEOS),
    "pixels": Known(NUMBER, "width x height", _IMAGES | _VIDEOS),
    "frames": Known(NUMBER, "number of frames; 1 for a still, 0 if unknown", _IMAGES | _VIDEOS),
    "duration": Known(NUMBER, "seconds", _VIDEOS | _AUDIO),
    "fps": Known(NUMBER, "frames per second; 0 if unknown", _VIDEOS),
    "channels": Known(NUMBER, "channels of the audio stream with the most; 0 without audio", _VIDEOS | _AUDIO),
    "alpha": Known(TRUTH, "has transparency", _IMAGES),
    "animated": Known(TRUTH, "is animated", _IMAGES),
    "hdr": Known(TRUTH, "is HDR10 or HLG", _VIDEOS),
    "sound": Known(TRUTH, "has an audio stream", _VIDEOS),
    "subtitles": Known(TRUTH, "has text subtitles", _VIDEOS),
    "format": Known(TEXT, 'format of the source: "jpeg", "png", "mp4" ...', _IMAGES | _VIDEOS | _AUDIO),
}  # fmt: skip
"""What a condition may ask for."""


FORMATS = (*formats.BY_NAME, formats.UNKNOWN)
"""What ``sniff`` calls the formats of sources."""
_CALLED = {
    "apng": "png", "heif": "heic", "mov": "mp4", "m4v": "mp4", "m4a": "mp4", "3gp": "mp4", "quicktime": "mp4",
    "mkv": "matroska", "webm": "matroska", "mka": "matroska", "ts": "mpegts", "m2ts": "mpegts", "vob": "mpeg",
    "wmv": "asf", "wma": "asf", "opus": "ogg", "vorbis": "ogg", "oga": "ogg", "ogv": "ogg", "aif": "aiff",
}  # fmt: skip
"""What people call some of them."""


class Wrong(Exception):
    """The problem of a condition, in words."""


def holds(condition: str, info: MediaInfo) -> bool:
    """Whether a condition that ``check`` passed is true of a source; "" always is. What divides by zero is false."""
    if not condition:
        return True
    evaluator = _evaluator()
    evaluator.names = _values(info)
    try:
        return bool(evaluator.eval(condition, previously_parsed=_parsed(condition)))
    except ArithmeticError:
        return False


def check(condition: str, table: str, kinds: Iterable[Kind]) -> str:
    """The problem of a condition of an output in this table of a recipe, in words; "" when it is valid.

    ``kinds`` are those of the sources that it is made from."""
    if not condition:
        return ""
    try:
        found = _type(_parsed(condition), known_of(kinds), table)
    except Wrong as error:
        return str(error)
    return "" if found is TRUTH else f"is {found}, not true or false; compare it with something, as in width > 2000"


def known_of(kinds: Iterable[Kind]) -> dict[str, Known]:
    """The names that sources of all these kinds have."""
    return {name: known for name, known in NAMES.items() if known.kinds.issuperset(kinds)}


@cache
def _parsed(condition: str) -> ast.expr:
    if len(condition) > MOST_LETTERS:
        raise Wrong(f"is longer than {MOST_LETTERS} letters")
    try:
        tree = ast.parse(condition.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise Wrong('cannot be understood; write it as in width > 2000 and format == "png"') from None
    level: list[ast.AST] = [tree]
    for _ in range(MOST_LEVELS):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    if level:
        raise Wrong("is nested too deeply")
    return tree


@cache
def _evaluator() -> SimpleEval:
    from simpleeval import EvalWithCompoundTypes  # here: most recipes have no condition

    return EvalWithCompoundTypes(functions={})


def _type(node: ast.expr, names: dict[str, Known], table: str) -> str:
    """The type of an expression. Raises Wrong."""

    def of(part: ast.expr) -> str:
        return _type(part, names, table)

    def require(part: ast.expr, wanted: str, where: str) -> str:
        if (found := of(part)) is not wanted:
            raise Wrong(f"{ast.unparse(part)!r} is {found}, and {where} takes {wanted}")
        return wanted

    match node:
        case ast.Name(id=name):
            if name not in names:
                raise Wrong(_unknown(name, names, table))
            return names[name].type
        case ast.Constant(value=bool()):
            return TRUTH
        case ast.Constant(value=int() | float() as number) if abs(number) <= MOST_NUMBER:
            return NUMBER
        case ast.Constant(value=str()):
            return TEXT
        case ast.BoolOp(op=operator, values=parts):
            for part in parts:
                require(part, TRUTH, f"{'and' if isinstance(operator, ast.And) else 'or'!r}")
            return TRUTH
        case ast.UnaryOp(op=ast.Not(), operand=part):
            return require(part, TRUTH, "'not'")
        case ast.UnaryOp(op=ast.USub(), operand=part):
            return require(part, NUMBER, "'-'")
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div(), right=right):
            return require(left, NUMBER, "arithmetic") and require(right, NUMBER, "arithmetic")
        case ast.Compare(left=left, ops=operators, comparators=others):
            for comparison, other in zip(operators, others, strict=True):
                match comparison, other:
                    case ((ast.In() | ast.NotIn()), (ast.Tuple(elts=parts) | ast.List(elts=parts))):
                        for part in parts:
                            require(part, of(left), f"{'in'!r} after {ast.unparse(left)!r}")
                    case ((ast.Lt() | ast.LtE() | ast.Gt() | ast.GtE()), _):
                        require(left, NUMBER, "a comparison by size")
                        require(other, NUMBER, "a comparison by size")
                    case ((ast.Eq() | ast.NotEq()), _):
                        require(other, of(left), f"a comparison with {ast.unparse(left)!r}")
                    case _:
                        raise Wrong('compare with <, <=, >, >=, ==, != or in, as in format in ("png", "gif")')
                _check_formats(left, other)
                left = other
            return TRUTH
    raise Wrong(
        f"{ast.unparse(node)[:40]!r} is not possible here; there are names, numbers, texts, comparisons,"
        " and, or, not, +, -, * and /"
    )


def _check_formats(*sides: ast.expr) -> None:
    """Raises Wrong where a format is compared with a text that is none: that would never be true."""
    if not any(isinstance(side, ast.Name) and side.id == "format" for side in sides):
        return
    for part in (part for side in sides for part in getattr(side, "elts", [side])):
        if isinstance(part, ast.Constant) and part.value not in FORMATS:
            text = str(part.value)
            meant = _CALLED.get(text.lower(), text)
            hint = did_you_mean(meant, FORMATS, f"there are: {', '.join(FORMATS)}")
            raise Wrong(f"no format is called {text!r}; {hint}")


def _unknown(name: str, names: dict[str, Known], table: str) -> str:
    if name in NAMES:
        why = f"{name!r} is not available for {table}"
    else:
        why = "; ".join(filter(None, (f"unknown name {name!r}", did_you_mean(name, names))))
    return f"{why}; there are: " + ", ".join(f"{each} ({known.meaning})" for each, known in names.items())


def _values(info: MediaInfo) -> dict[str, Any]:
    width, height = info.width or 0, info.height or 0
    return {
        "width": width,
        "height": height,
        "pixels": width * height,
        "duration": info.duration or 0.0,
        "fps": (info.video.fps or 0.0) if info.video else 0.0,
        "frames": (info.video.frames or 0) if info.video else info.frames,
        "channels": max((track.channels for track in info.audio), default=0),
        "alpha": info.alpha,
        "animated": info.video is None and info.frames > 1,
        "hdr": info.video is not None and info.video.transfer in ("smpte2084", "arib-std-b67"),
        "sound": bool(info.audio),
        "subtitles": any(track.text for track in info.texts),
        "format": info.format,
    }
