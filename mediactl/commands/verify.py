"""The command ``verify``. Imports are lazy, as in ``cli``."""

from __future__ import annotations

import json
import os

import click

from mediactl.commands.shared.options import journal_options, state_folder
from mediactl.commands.shared.sections import CHECK, INVALID, Command
from mediactl.core.errors import ExitCode

PROBLEMS = {"missing": "missing", "wrong": "invalid"}
"""Problem in JSON -> the word for people."""


@click.command(
    cls=Command,
    section=CHECK,
    order=2,
    exits=(
        (0, "No problems."),
        (1, "Something is missing or invalid."),
        INVALID,
        (75, "Something could not be checked; try again."),
    ),
    examples=(
        "verify",
        "verify -o /srv/derived --local-only",
        "verify --repair --json",
        "verify --journal --local-only",
    ),
)
@journal_options
@click.option("--repair", is_flag=True, help="Have the next `process` or `upload` rebuild and send them again.")
@click.option("--journal", is_flag=True, help="Check the invariants of the journal, too, and what killed runs left.")
@click.option("--local-only", is_flag=True, help="Check local files only.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line, the last one with totals.")
def verify(out: bytes, state: str | None, repair: bool, journal: bool, local_only: bool, as_json: bool) -> int:
    """Check outputs and uploaded objects against the journal.

    Reads every output, asks the buckets for every object, and reports what is missing or invalid. --journal adds what
    must hold whatever was killed: states, attempts, incomplete files; no temporary, lock or process left by dead runs.
    """
    import msgspec

    from mediactl.admin import verify as verify_
    from mediactl.pool.limits import available_cores
    from mediactl.ui.lines import count

    def report(each: verify_.Finding) -> None:
        text = f"{PROBLEMS.get(each.problem, each.problem)}: {each.name}: {each.reason}"
        click.echo(json.dumps(msgspec.structs.asdict(each)) if as_json else text)

    folder, result = state_folder(out, state), verify_.Verified()
    verify_.local(folder, os.path.abspath(out), available_cores(), report, result)
    if journal:
        from mediactl.admin.invariants import of_journal

        for each in of_journal(folder, os.path.abspath(out)):
            result.violated += 1
            report(verify_.Finding("journal", each.name, each.rule, f"{each.reason}; {each.remedy}"))
    pending = 0
    if not local_only:
        verify_.remote(folder, report, result)
        pending = verify_.pending(folder)
    for error in result.unverified:
        click.echo(f"not verified: {error}", err=True)
    again = verify_.repair(folder, os.path.abspath(out), result) if repair else 0
    if as_json:
        numbers = {
            "files": result.files,
            "objects": result.objects,
            "in_bucket": result.in_bucket,
            "bad": result.findings,
            "violated": result.violated,
            "repaired": again,
        }
        totals = {"what": "summary", **numbers, "unverified": len(result.unverified)}
        click.echo(json.dumps({**totals, "pending_uploads": pending}))
    else:
        bad = f"{result.findings:,} missing or invalid" if result.findings else "no problems"
        bad += f", {count(result.violated, 'invariant')} violated" if journal else ""
        click.echo(f"{count(result.files, 'file')} and {count(result.objects, 'object')} checked: {bad}")
        if result.in_bucket:
            click.echo(f"{count(result.in_bucket, 'source has', 'sources have')} outputs in the bucket alone")
        if again:
            click.echo("run `mediactl process` or `upload` again to rebuild and send them")
        elif result.findings and not repair:
            click.echo("--repair has the next run rebuild and send them")
        if pending:
            click.echo(
                f"{count(pending, 'upload is', 'uploads are')} pending; `mediactl uploads resume` sends what is left"
            )
    return verify_.exit_code(result, ExitCode.BAD_SOURCES)
