"""A process for what decodes sources: with the environment of workers, so that it holds no credentials."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import NoReturn

from mediactl.core.errors import ExitCode, MediactlError, UsageError
from mediactl.core.processes import dies_with_this_process, dump_no_core
from mediactl.pool.process import worker_environment

_HERE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_BOOT = "import sys; sys.path.append(sys.argv[1]); from mediactl.report.{} import main; main(sys.argv[2:])"
"""With -P, not -m: modules must not be imported from the current directory, which may hold untrusted files."""


def run(module: str, *arguments: str) -> bytes:
    """Return what ``main`` of a module of this package writes. Raises UsageError and MediactlError as that does."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", _BOOT.format(module), _HERE, *arguments],
        env=worker_environment(os.environ), stdin=subprocess.DEVNULL, capture_output=True, check=False,
        preexec_fn=dies_with_this_process(),
    )  # fmt: skip
    if done.returncode:
        lines = done.stderr.decode(errors="backslashreplace").strip().splitlines()
        reason = lines[-1] if lines else f"its process ended with {done.returncode}"
        raise (UsageError if done.returncode == ExitCode.USAGE else MediactlError)(reason)
    return done.stdout


def answer(call: Callable[[], bytes]) -> NoReturn:
    """Write what a call returns to standard output, or its error as one line, and exit: the other end of ``run``."""
    dump_no_core()
    try:
        sys.stdout.buffer.write(call())
        sys.stdout.flush()
    except MediactlError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    sys.exit(0)
