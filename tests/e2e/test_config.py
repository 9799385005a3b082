"""Settings: every flag is a key and a variable; ``config show`` names where each value is from."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import jsonschema
import pytest
from conftest import ROOT, CommandLine

from mediactl.commands.shared import configuration


def shown(mediactl: CommandLine, *arguments: str, **environment: str) -> dict[str, tuple[object, str]]:
    """What ``config show`` prints: key -> value and origin."""
    result = mediactl(*arguments, "config", "show", "--json", environment=environment)
    assert result.code == 0, result
    return {key: (each["value"], each["from"]) for key, each in json.loads(result.out).items()}


def test_each_value_comes_with_the_place_it_is_from(mediactl: CommandLine) -> None:
    own = Path(mediactl.environment["XDG_CONFIG_HOME"]) / "mediactl"
    own.mkdir(parents=True)
    (own / "config.toml").write_text('to = "s3://bucket/prefix"\njobs = 3\n')
    (mediactl.folder / "mediactl.toml").write_text('jobs = 2\nexclude = ["raw/"]\nmemory = "6G"\n')
    found = shown(mediactl, MEDIACTL_MEMORY="2G", MEDIACTL_PROCESS_GRACE="1m", MEDIACTL_INCLUDE="*.jpg *.png")
    assert found["to"] == ("s3://bucket/prefix", f"{own}/config.toml")
    assert found["jobs"] == (2, "mediactl.toml")
    assert found["exclude"] == (["raw/"], "mediactl.toml")
    assert found["memory"] == ("2G", "MEDIACTL_MEMORY")
    assert found["grace"] == ("1m", "MEDIACTL_PROCESS_GRACE")
    assert found["include"] == (["*.jpg", "*.png"], "MEDIACTL_INCLUDE")
    assert found["recipe"] == ("web", "default")
    assert found["state"] == (None, "default: OUT/.mediactl")


def test_what_it_prints_is_a_settings_file(mediactl: CommandLine) -> None:
    (mediactl.folder / "mediactl.toml").write_text('lane = ["heavy=1"]\nout = "made"\n')
    text = mediactl("config", "show").out
    tree = tomllib.loads(text)
    assert (tree["lane"], tree["out"], tree["recipe"]) == (["heavy=1"], "made", "web")
    (mediactl.folder / "again.toml").write_text(text)
    assert shown(mediactl, "--config", "again.toml")["lane"] == (["heavy=1"], "again.toml")


def test_one_variable_sets_a_key_for_every_command(mediactl: CommandLine) -> None:
    (mediactl.folder / "in").mkdir()
    assert mediactl("process", "in", environment={"MEDIACTL_OUT": "made"}).code == 0
    assert (mediactl.folder / "made/.mediactl/journal.db").exists()
    assert mediactl("status", environment={"MEDIACTL_OUT": "made"}).code == 0
    assert mediactl("status").code == 2
    both = {"MEDIACTL_OUT": "nowhere", "MEDIACTL_STATUS_OUT": "made"}
    assert mediactl("status", environment=both).code == 0, "the variable of one command wins"


def test_an_invalid_variable_is_named(mediactl: CommandLine) -> None:
    result = mediactl("process", "in", environment={"MEDIACTL_MEMORY": "6"})
    assert (result.code, result.out) == (2, "")
    assert result.err == "mediactl process: MEDIACTL_MEMORY: 6: expected a unit; did you mean 6G or 6M? 6B are bytes\n"


@pytest.mark.parametrize("how", ["flag", "variable"])
def test_a_settings_file_that_is_named_has_to_exist(mediactl: CommandLine, how: str) -> None:
    arguments = ["--config", "none.toml"] if how == "flag" else []
    result = mediactl(
        *arguments, "process", "in", environment={} if how == "flag" else {"MEDIACTL_CONFIG": "none.toml"}
    )
    assert (result.code, result.err) == (2, "mediactl: --config none.toml: no such file\n")


def test_keys_of_runs_do_not_change_what_other_commands_do(mediactl: CommandLine) -> None:
    """``bump`` has a --priority of its own, ``selftest`` a number of jobs."""
    (mediactl.folder / "in").mkdir()
    (mediactl.folder / "mediactl.toml").write_text('priority = "backfill"\n')
    mediactl("process", "in")
    assert "urgent" in mediactl("bump", "--help").out


def test_what_names_programs_or_addresses_is_not_taken_from_the_current_directory() -> None:
    trusted = {key for key, option in configuration.options().items() if option.trusted}
    assert trusted == {
        "ffmpeg", "sandbox", "to", "endpoint_url", "profile", "ca_bundle", "drain_url", "allow_outside", "log",
            "metrics_textfile", "metrics_listen", "statsd", "broker",
        "junit", "report", "report_blob",
    }  # fmt: skip


def test_the_schema_accepts_what_is_read_and_nothing_else(mediactl: CommandLine) -> None:
    schema = json.loads(mediactl("config", "schema").out)
    assert (ROOT / "docs/settings.schema.json").read_text() == mediactl("config", "schema").out
    jsonschema.validate({"jobs": 2, "memory": "6G", "grace": 90, "exclude": ["raw/"], "path_style": True}, schema)
    for wrong in ({"jobs": "2"}, {"jobs": 0}, {"exclude": "raw/"}, {"if_exists": "maybe"}, {"unknown": 1}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)


def test_the_reference_is_what_the_program_says(mediactl: CommandLine) -> None:
    assert (ROOT / "docs/settings.md").read_text() == mediactl("config", "docs").out
