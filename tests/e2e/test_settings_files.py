"""Which files settings are read from, and what those may say that a stranger could have written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from conftest import CommandLine


def usage_error(mediactl: CommandLine, *arguments: str) -> str:
    """What a run says that is refused in one line, with nothing done."""
    result = mediactl(*arguments, "process", "in")
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1), result
    assert not (mediactl.folder / "derived").exists()
    return result.err


@pytest.fixture
def stranger(mediactl: CommandLine) -> Path:
    """A program among the sources that leaves a trace when it is run."""
    (mediactl.folder / "in").mkdir()
    program = mediactl.folder / "ffmpeg"
    program.write_text(f"#!/bin/sh\necho run >> {mediactl.folder}/trace\nexit 1\n")
    program.chmod(0o755)
    return program


def own_configuration(mediactl: CommandLine, content: str) -> Path:
    """The user's own configuration."""
    folder = Path(mediactl.environment["XDG_CONFIG_HOME"]) / "mediactl"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(content)
    return folder


def test_the_current_folder_cannot_name_the_program_that_is_run(mediactl: CommandLine, stranger: Path) -> None:
    (mediactl.folder / "mediactl.toml").write_text('ffmpeg = "./ffmpeg"\n')
    told = usage_error(mediactl)
    assert "key 'ffmpeg' is not allowed in this file, because it may have come with the sources; use --ffmpeg, " in told
    assert mediactl("doctor").code == 2
    assert not (mediactl.folder / "trace").exists()


@pytest.mark.parametrize("where", ["configuration", "--config", "--ffmpeg", "environment"])
def test_the_user_can_by_configuration_flag_and_environment(mediactl: CommandLine, stranger: Path, where: str) -> None:
    arguments, environment = ["process", "in"], {}
    if where == "configuration":
        own_configuration(mediactl, f'ffmpeg = "{stranger}"\n')
    elif where == "--config":
        (mediactl.folder / "mine.toml").write_text('ffmpeg = "./ffmpeg"\n')
        arguments = ["--config", "mine.toml", *arguments]
    elif where == "--ffmpeg":
        arguments += ["--ffmpeg", "./ffmpeg"]
    else:
        environment["MEDIACTL_FFMPEG"] = "./ffmpeg"
    result = mediactl(*arguments, environment=environment)
    assert (result.code, "does not work" in result.err) == (2, True), result
    assert (mediactl.folder / "trace").exists()


def test_a_program_is_named_relative_to_the_file_that_names_it(mediactl: CommandLine, stranger: Path) -> None:
    folder = own_configuration(mediactl, 'ffmpeg = "./ffmpeg"\n')
    assert f"{folder}/ffmpeg is not an executable file" in mediactl("process", "in").err
    assert not (mediactl.folder / "trace").exists()


def test_the_current_folder_overrides_the_users_own_configuration(mediactl: CommandLine) -> None:
    (mediactl.folder / "in").mkdir()
    own_configuration(mediactl, 'out = "from-own"\nstate = "state"\n')
    mediactl("process", "in")
    (mediactl.folder / "mediactl.toml").write_text('out = "from-folder"\n')
    mediactl("process", "in")
    assert {"from-own", "from-folder", "state"} <= set(os.listdir(mediactl.folder))
    assert not (mediactl.folder / "from-folder/.mediactl/journal.db").exists()


def test_without_xdg_config_home_it_lies_in_the_home_folder(mediactl: CommandLine) -> None:
    (mediactl.folder / "in").mkdir()
    (mediactl.folder / ".config/mediactl").mkdir(parents=True)
    (mediactl.folder / ".config/mediactl/config.toml").write_text('out = "from-home"\n')
    mediactl("process", "in", environment={"XDG_CONFIG_HOME": "", "HOME": str(mediactl.folder)})
    assert (mediactl.folder / "from-home").exists()


@pytest.mark.parametrize(
    ("mode", "told"), [(0o666, "is writable by everybody"), (0o664, "is writable by a group (id 54321)")]
)
def test_a_settings_file_that_others_can_write_is_refused(mediactl: CommandLine, mode: int, told: str) -> None:
    file = mediactl.folder / "mediactl.toml"
    file.write_text("jobs = 1\n")
    if mode == 0o664:
        if os.geteuid():
            pytest.skip("giving a file to another group needs root")
        os.chown(file, -1, 54321)
    file.chmod(mode)
    (mediactl.folder / "in").mkdir()
    said = usage_error(mediactl)
    assert f"mediactl.toml: {told}; review it, then change its owner or mode, or use --config" in said
    assert mediactl("--config", "mediactl.toml", "process", "in").code == 0
    file.chmod(0o644)
    assert mediactl("process", "in").code == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a file away needs root")
@pytest.mark.parametrize("link", [False, True])
def test_a_settings_file_of_somebody_else_is_refused(mediactl: CommandLine, link: bool) -> None:
    file = mediactl.folder / "mediactl.toml"
    if link:
        (mediactl.folder / "target.toml").write_text("jobs = 1\n")
        file.symlink_to("target.toml")
    else:
        file.write_text("jobs = 1\n")
    os.chown(file, 54321, 54321, follow_symlinks=False)
    assert "mediactl.toml: belongs to another user (id 54321)" in usage_error(mediactl)


def test_a_private_groups_write_permission_is_no_reason_to_refuse(mediactl: CommandLine) -> None:
    file = mediactl.folder / "mediactl.toml"
    file.write_text("jobs = 1\n")
    file.chmod(0o664)
    (mediactl.folder / "in").mkdir()
    if os.geteuid() or os.getegid():
        pytest.skip("whether the group of these files is private is known of root's alone")
    assert mediactl("process", "in").code == 0


def test_a_pipe_in_its_place_is_refused_and_not_waited_for(mediactl: CommandLine) -> None:
    os.mkfifo(mediactl.folder / "mediactl.toml")
    assert "mediactl.toml: not a regular file; remove it" in usage_error(mediactl)
