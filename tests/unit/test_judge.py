"""Whose fault an exception is that a job has raised."""

from __future__ import annotations

import errno

import pytest

from mediactl.core.errors import (
    ExitCode,
    Interrupted,
    JobFailed,
    LaneClosed,
    MachineBlocked,
    RejectedInput,
    SourceChanged,
)
from mediactl.model.verdict import Verdict
from mediactl.pool.worker import judge


class AccessDenied(LaneClosed):
    verdict = Verdict.REFUSED
    exit_code = ExitCode.USAGE


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (RejectedInput("why"), Verdict.REJECTED),
        (SourceChanged("why"), Verdict.CHANGED),
        (Interrupted("why"), Verdict.INTERRUPTED),
        (LaneClosed("why"), Verdict.AWAY),
        (AccessDenied("why"), Verdict.REFUSED),
        (MachineBlocked("why"), Verdict.BLOCKED),
        (JobFailed("why"), Verdict.FAILED),
    ],
)
def test_an_error_of_ours_says_itself_what_it_means(error: Exception, verdict: Verdict) -> None:
    assert judge(error) == (verdict, "why")


def test_a_full_disk_blocks_and_a_broken_one_is_no_fault_of_the_file() -> None:
    assert judge(OSError(errno.ENOSPC, "No space left on device"))[0] is Verdict.BLOCKED
    assert judge(OSError(errno.EACCES, "Permission denied"))[0] is Verdict.FORBIDDEN
    assert judge(OSError(errno.EIO, "Input/output error"))[0] is Verdict.UNREADABLE


@pytest.mark.parametrize(
    "kind", [TypeError, AttributeError, NameError, ImportError, ModuleNotFoundError, AssertionError, KeyError,
             IndexError, NotImplementedError, SyntaxError]
)  # fmt: skip
def test_a_mistake_in_code_is_an_internal_error_that_says_where(kind: type[Exception]) -> None:
    with pytest.raises(kind) as raised:
        raise kind("some\nwords")
    verdict, reason = judge(raised.value)
    assert verdict is Verdict.INTERNAL
    assert reason.startswith(f"{kind.__name__}: ") and "\n" not in reason
    assert "(test_judge.py:" in reason


@pytest.mark.parametrize("error", [ValueError("x"), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "x"), MemoryError(),
                                   ZeroDivisionError("x"), RuntimeError("x")])  # fmt: skip
def test_what_a_files_content_may_have_brought_about_is_a_failure_of_its_job(error: Exception) -> None:
    assert judge(error)[0] is Verdict.FAILED
