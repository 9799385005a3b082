"""A real browser for tests: Debian's Chromium with its driver, and the scripts that npm has."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

LIMIT = 40
"""Seconds that one script may take."""
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--no-default-browser-check",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    "--autoplay-policy=no-user-gesture-required", "--window-size=700,560", "--force-color-profile=srgb",
)  # fmt: skip


@contextmanager
def chromium(profile: Path, *flags: str) -> Iterator[webdriver.Chrome]:
    """Headless Chromium; nothing of it is left behind. Skips the test where there is none."""
    binary = shutil.which("chromium") or shutil.which("google-chrome")
    chromedriver = shutil.which("chromedriver")
    if not binary or not chromedriver:
        pytest.skip("no chromium and chromedriver on PATH (Debian: chromium, chromium-driver)")
    options = Options()
    options.binary_location = binary
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in (*_FLAGS, *flags, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    service = Service(chromedriver)
    driver = webdriver.Chrome(options=options, service=service)
    family = [psutil.Process(service.process.pid)]
    family += family[0].children(recursive=True)
    try:
        driver.set_script_timeout(LIMIT)
        yield driver
    finally:
        driver.quit()
        _, left = psutil.wait_procs(family, timeout=10)
        for process in left:
            process.kill()


def from_npm(package: str, file: str, variable: str, folder: Path) -> Path:
    """A file of a package of npm, or the one that an environment variable names. Skips the test without either."""
    if named := os.environ.get(variable):
        return Path(named)
    npm = shutil.which("npm")
    if not npm:
        pytest.skip(f"no {package}: {variable} names none, and there is no npm to install it")
    command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder), package]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=200)
    if done.returncode:
        pytest.skip(f"npm cannot install {package}: {done.stderr.strip()[-200:]}")
    return folder / "node_modules" / package.rpartition("@")[0] / file
