"""docs/formats.md: what is read and what is rejected by name, made from the table in ``model.formats``.

``python -m mediactl.admin.format_docs > docs/formats.md`` writes it.
"""

from __future__ import annotations

from collections.abc import Iterator

from mediactl.model import formats
from mediactl.model.media import Kind
from mediactl.sources import sniff

_KINDS = {Kind.IMAGE: "Images", Kind.VIDEO: "Videos", Kind.AUDIO: "Audio"}


def page() -> str:
    """Return the page, in Markdown."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# Formats"
    yield ""
    yield "Made from the table in mediactl/model/formats.py; a test compares it."
    yield ""
    yield (
        f"The first {sniff.HEAD:,} bytes of a file decide what it is, whatever its name says. ID3v2 and APE tags at its"
        " beginning are skipped (behind a large one, as many bytes again are read), and so is junk before the first"
        " packets of an MPEG stream, MP3, AAC or AC-3. Text is never media, except for the formats that are text (SVG,"
        " PDF, EPS, PNM). A file of unknown content is rejected when its extension is one of those below, and ignored"
        " otherwise."
    )
    for kind, title in _KINDS.items():
        here = [each for each in formats.FORMATS if each.kind is kind]
        yield from ("", f"## {title}", "", "| format | name | extensions | demuxer or extra |", "|---|---|---|---|")
        for each in here:
            if not each.refusal:
                needs = ", ".join(each.demuxers) or (f"`mediactl[{each.extra}]`" if each.extra else "")
                yield f"| {each.title} | `{each.name}` | {each.extensions} | {needs} |"
        yield from ("", "Rejected by name:", "", "| format | name | extensions | reason |", "|---|---|---|---|")
        for each in here:
            if each.refusal:
                yield f"| {each.title} | `{each.name}` | {each.extensions} | {each.refusal} |"
        if kind is Kind.IMAGE:
            yield from (
                "",
                "Kinds of the formats above that are rejected by name:",
                "",
                "| format | reason |",
                "|---|---|",
            )
            yield from (f"| `{each.format}` | {each.refusal} |" for each in formats.UNREAD)


if __name__ == "__main__":
    print(page(), end="")
