"""The playlists of one video, for files that this run made and those that exist already."""

from __future__ import annotations

from mediactl.core.errors import JobFailed
from mediactl.media.drafts import Draft, Present
from mediactl.media.hls import playlists
from mediactl.media.inspect.streams import Streams
from mediactl.media.mp4 import fragments
from mediactl.model.assets import Target
from mediactl.model.jobs import MakeTask

OPERATIONS = ("playlist", "master")
"""Operations whose drafts are made here."""

_MEDIA_TYPE = "application/vnd.apple.mpegurl"


class Ladder:
    """Writes playlists."""

    def __init__(self, task: MakeTask, found: Streams, drafts: dict[str, Draft], present: Present) -> None:
        """``drafts`` are those of this run by name, ``present`` returns where the other artefacts are."""
        self._found = found
        self._targets = {target.name: target for target in task.targets}
        self._drafts = drafts
        self._present = present

    def draft(self, target: Target, path: bytes) -> Draft:
        """Return a media or master playlist. Raises JobFailed when a file that it names is invalid."""
        text = self._master(target) if target.operation == "master" else self._playlist(target)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return Draft(target, path, _MEDIA_TYPE)

    def _playlist(self, target: Target) -> str:
        of = self._of(target)
        if of.operation == "text":
            return playlists.text(of.name, float(target.params["duration"]))
        return playlists.media(fragments.read(self._file(of)), of.name, segment=float(target.params["segment"]))

    def _master(self, target: Target) -> str:
        """Return the master playlist, in the recipe's order; the default audio is the video's default stream."""
        videos: list[playlists.VideoRendition] = []
        audios: list[playlists.AudioRendition] = []
        subtitles: list[playlists.SubtitleRendition] = []
        default = self._found.audio.ordinal if self._found.audio else 0
        for name in str(target.params["of"]).split(","):
            of = self._of(self._targets[name])
            if of.operation == "stream":
                videos.append(playlists.VideoRendition(name, fragments.read(self._file(of))))
            elif of.operation == "sound":
                number = int(of.params["track"])
                track = self._found.info.audio[number]
                audio = playlists.AudioRendition(name, fragments.read(self._file(of)), track.language, track.title)
                audios.insert(0 if number == default else len(audios), audio)
            else:
                text = self._found.info.texts[int(of.params["track"])]
                subtitles.append(playlists.SubtitleRendition(name, text.language, text.title))
        return playlists.master(videos, audios, subtitles)

    def _of(self, playlist: Target) -> Target:
        return self._targets[str(playlist.params["of"])]

    def _file(self, target: Target) -> bytes:
        """Return the file of a target, or one with the same key, which has the same content."""
        if target.name in self._drafts:
            return self._drafts[target.name].file
        existing = self._present(target.name)
        if existing is not None:
            return existing
        for draft in self._drafts.values():
            if draft.target.key == target.key:
                return draft.file
        raise JobFailed(f"{target.name}: missing, though a playlist names it")
