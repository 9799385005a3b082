"""A new command is one module."""

from __future__ import annotations

import re
import shutil

import pytest
from conftest import ROOT, CommandLine

COMMANDS = ROOT / "mediactl" / "commands"


@pytest.fixture
def extended(mediactl: CommandLine) -> CommandLine:
    """Return a mediactl to which the module of docs/extending.md was added, and nothing else."""
    copy = mediactl.folder / "copy"
    shutil.copytree(ROOT / "mediactl", copy / "mediactl", ignore=shutil.ignore_patterns("__pycache__"))
    page = (ROOT / "docs" / "extending.md").read_text()
    (module,) = re.findall(r"^```python\n(\"\"\"The command ``sizes``.*?)^```", page, re.DOTALL | re.MULTILINE)
    (copy / "mediactl" / "commands" / "sizes.py").write_text(module)
    mediactl.environment["PYTHONPATH"] = str(copy)
    return mediactl


def test_a_module_dropped_into_the_package_is_a_command(extended: CommandLine) -> None:
    result = extended("sizes")
    assert (result.code, result.err) == (0, "")
    assert result.out == f"derived {extended.folder}/derived/.mediactl\n"


def test_the_help_lists_it_in_its_section(extended: CommandLine) -> None:
    look = extended("--help").out.partition("\nLook:\n")[2].partition("\n\n")[0]
    names = [line.split()[0] for line in look.splitlines()]
    assert names.index("lanes") < names.index("sizes") < names.index("events")


def test_its_flags_are_set_by_environment_before_the_settings_file(extended: CommandLine) -> None:
    (extended.folder / "mediactl.toml").write_text('out = "from-file"\n')
    assert extended("sizes").out.split()[0] == "from-file"
    assert (
        extended("sizes", environment={"MEDIACTL_SIZES_OUT": "from-environment"}).out.split()[0] == "from-environment"
    )


def test_the_shell_completes_its_name_and_flags(extended: CommandLine) -> None:
    shell = {"_MEDIACTL_COMPLETE": "bash_complete", "COMP_CWORD": "1"}
    assert extended(environment={**shell, "COMP_WORDS": "mediactl siz"}).out == "plain,sizes\n"
    shell["COMP_CWORD"] = "2"
    assert extended(environment={**shell, "COMP_WORDS": "mediactl sizes --st"}).out == "plain,--state\n"


def test_a_mistyped_name_is_answered_with_it(extended: CommandLine) -> None:
    result = extended("size")
    assert result.code == 2
    assert "sizes" in result.err


@pytest.mark.parametrize("module", sorted(path.stem for path in COMMANDS.glob("[!_]*.py")))
def test_a_command_imports_its_module_alone(mediactl: CommandLine, module: str) -> None:
    result = mediactl(module, "--help", environment={"PYTHONVERBOSE": "1"})
    imported = set(re.findall(r"^import 'mediactl\.commands\.(\w+)' #", result.err, re.MULTILINE))
    assert result.out.startswith(f"Usage: mediactl {module} ")
    assert imported == {module, "shared"}


def test_the_version_imports_no_command(mediactl: CommandLine) -> None:
    result = mediactl("--version", environment={"PYTHONVERBOSE": "1"})
    assert set(re.findall(r"^import 'mediactl\.commands\.(\w+)' #", result.err, re.MULTILINE)) == {"shared"}


@pytest.mark.parametrize("name", ["options", "sections", "shared", "shared.options", "../cli", "__init__", ""])
def test_what_is_no_command_is_refused(mediactl: CommandLine, name: str) -> None:
    result = mediactl(name)
    assert (result.code, result.out) == (2, "")
    assert "no such command" in result.err
