"""The playlists of one video, for files that this run made and those that exist already."""

from __future__ import annotations

from mediactl.core.errors import JobFailed
from mediactl.media.drafts import Draft, Present
from mediactl.media.hls import playlists
from mediactl.media.inspect.streams import Streams
from mediactl.media.mp4 import fragments
from mediactl.media.mp4.fragments import Track
from mediactl.model.assets import Operation, Target, made_by
from mediactl.model.jobs import MakeTask
from mediactl.outputs.hls import AudioTrackParams, MasterParams, PlaylistParams, StreamParams
from mediactl.outputs.subtitles import TextParams

_MEDIA_TYPE = "application/vnd.apple.mpegurl"


class Ladder:
    """Writes playlists."""

    def __init__(self, task: MakeTask, found: Streams, drafts: dict[str, Draft], present: Present) -> None:
        """``drafts`` are those of this run by name, ``present`` returns where the other artefacts are."""
        self._found = found
        self._targets = {target.name: target for target in task.targets}
        self._drafts = drafts
        self._present = present
        self._read: dict[str, Track] = {}

    def playlist(self, target: Target[PlaylistParams], path: bytes) -> Draft:
        """Write a media playlist. Raises JobFailed when the file that it names is invalid."""
        of = self._targets[target.params.of]
        if target.params.segment is None:
            return self._written(target, playlists.text(of.name, target.params.duration or 0.0), path)
        text = playlists.media(
            self._track(of), of.name, segment=target.params.segment, others=self._beside(target.name)
        )
        return self._written(target, text, path)

    def master(self, target: Target[MasterParams], path: bytes) -> Draft:
        """Write the master playlist. Raises JobFailed when a file that it names is invalid."""
        return self._written(target, self._master(target.params), path)

    def _beside(self, playlist: str) -> list[Track]:
        """Return the tracks of all masters that name the playlist."""
        masters = [each.params.of.split(",") for each in made_by(self._targets.values(), MasterParams)]
        names = dict.fromkeys(name for of in masters if playlist in of for name in of)
        return [self._track(of) for of in map(self._of, names) if not isinstance(of.params, TextParams)]

    def _written(self, target: Target[Operation], text: str, path: bytes) -> Draft:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return Draft(target, path, _MEDIA_TYPE)

    def _master(self, params: MasterParams) -> str:
        """Return the master playlist, in the recipe's order; the default audio is the video's default stream."""
        videos: list[playlists.VideoRendition] = []
        audios: list[playlists.AudioRendition] = []
        subtitles: list[playlists.SubtitleRendition] = []
        default = self._found.audio.ordinal if self._found.audio else 0
        for name in params.of.split(","):
            of = self._of(name)
            match of.params:
                case StreamParams():
                    videos.append(playlists.VideoRendition(name, self._track(of)))
                case AudioTrackParams(track=number):
                    stream = self._found.info.audio[number]
                    audio = playlists.AudioRendition(name, self._track(of), stream.language, stream.title)
                    audios.insert(0 if number == default else len(audios), audio)
                case TextParams(track=number):
                    text = self._found.info.texts[number]
                    subtitles.append(playlists.SubtitleRendition(name, text.language, text.title))
        return playlists.master(videos, audios, subtitles)

    def _of(self, playlist: str) -> Target[Operation]:
        """Return what the playlist of this name is about."""
        params = self._targets[playlist].params
        assert isinstance(params, PlaylistParams)
        return self._targets[params.of]

    def _track(self, target: Target[Operation]) -> Track:
        if target.name not in self._read:
            self._read[target.name] = fragments.read(self._file(target))
        return self._read[target.name]

    def _file(self, target: Target[Operation]) -> bytes:
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
