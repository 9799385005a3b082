"""``mediactl recipe``: list, show and check recipes; their JSON Schema. Imports are lazy, as in ``cli``."""

from __future__ import annotations

import os

import click

from mediactl.commands.shared.options import state_folder
from mediactl.commands.shared.sections import CHECK, Group


@click.group(cls=Group, section=CHECK, order=3)
def recipe() -> None:
    """List, show and check recipes.

    A recipe says what is derived from each kind of source.
    """


@recipe.command("list")
def recipe_list() -> None:
    """List the bundled recipes."""
    from mediactl.recipe import loader as recipes

    for name in recipes.builtin_names():
        click.echo(f"{name:<12}  {recipes.load(name).description}")


@recipe.command("show")
@click.argument("name")
@click.option("--resolved", is_flag=True, help="Print it with everything that it extends.")
def recipe_show(name: str, resolved: bool) -> None:
    """Print a recipe as TOML, to start your own from."""
    from mediactl.recipe import inheritance
    from mediactl.recipe import loader as recipes

    text, origin = recipes.text_of(name)
    if resolved:
        found = recipes.draft(text, origin)
        recipes.checked(found)
        text = inheritance.toml(found.tree())
    click.echo(text.rstrip("\n"))


@recipe.command("check")
@click.argument("file")
@click.option("--against", default=None, metavar="RECIPE", help="Print how FILE differs from this recipe.")
@click.option("--out", default=None, type=click.Path(path_type=bytes), metavar="DIR",
              help="Print what FILE would change in the output directory DIR; change nothing.")  # fmt: skip
@click.option("--state", default=None, metavar="DIR", help="Directory of the journal.  [default: OUT/.mediactl]")
@click.option("-j", "--jobs", type=click.IntRange(min=1), default=None, metavar="N",
              help="Number of worker processes to estimate times for.  [default: usable cores]")  # fmt: skip
def recipe_check(file: str, against: str | None, out: bytes | None, state: str | None, jobs: int | None) -> None:
    """Check a recipe FILE and show what it would change."""
    from mediactl.model.media import Kind
    from mediactl.recipe import loader as recipes

    checked = recipes.load(file)
    outputs = ", ".join(f"{len(checked.outputs(kind))} {kind.value}" for kind in Kind if checked.outputs(kind))
    click.echo(f"recipe {checked.name!r}: valid; outputs: {outputs}")
    if against is not None:
        from mediactl.pipeline import impact

        differences = list(impact.differences(recipes.load(against), checked))
        for line in differences or [f"no difference from {against}"]:
            click.echo(line)
    if out is not None or state is not None:
        from mediactl.pipeline import dry_run
        from mediactl.pool.limits import available_cores

        folder = state_folder(os.path.abspath(out or b"derived"), state)
        if not os.path.exists(os.path.join(folder, "journal.db")):
            raise click.UsageError(f"{folder}: no journal found; name the --out or --state of a run")
        for line in dry_run.of_recipe(checked, folder, os.environ.get("MEDIACTL_FFMPEG"), jobs or available_cores()):
            click.echo(line)


@recipe.command("schema")
def recipe_schema() -> None:
    """Print the JSON Schema of recipes, for editors."""
    from mediactl.recipe import schema

    click.echo(schema.text(), nl=False)
