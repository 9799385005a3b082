"""What an installed package requires, and whether installed versions are within it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mediactl.core import distributions
from mediactl.core.distributions import Requirement


def test_the_requirements_of_mediactl_are_those_of_its_metadata() -> None:
    from importlib.metadata import requires

    found = distributions.requirements("mediactl")
    assert len(found) == len(requires("mediactl") or ())
    by_name = {each.name: each for each in found}
    assert (by_name["pillow-jxl-plugin"].extra, by_name["av"].extra) == ("jxl", "")
    assert all(each.versions for each in found if not each.extra)


@pytest.mark.parametrize(
    ("versions", "version", "met"),
    [
        (">=18.1,<20", "19.0.2", True), (">=18.1,<20", "20.0.0", False), ("<20,>=18.1", "18.0.9", False),
        ("<1", "1.0.0", False), (">=1.0", "1", True), ("", "0.1", True), ("<0.3,>=0.2.0", "0.2.0", True),
    ],
)  # fmt: skip
def test_versions_are_compared_by_their_numbers(versions: str, version: str, met: bool) -> None:
    assert Requirement("any", versions, "").met_by(version) is met


def test_the_command_for_an_extra_is_one_that_this_environment_has() -> None:
    (extra,) = [each for each in distributions.requirements("mediactl") if each.extra == "jxl"]
    command = distributions.install_command(extra)
    assert command.endswith(f" 'pillow-jxl-plugin{extra.versions}'")
    assert sys.executable in command or command.startswith("pipx inject mediactl ")


def test_elsewhere_than_on_linux_and_macos_one_line_says_what_to_do() -> None:
    code = "import sys; sys.platform = 'sunos5'; from mediactl.cli import main; main()"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "mediactl: requires Linux or macOS, and this is sunos5; run it in a Linux container\n"
