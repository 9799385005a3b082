"""``mediactl recipe``: list, show, check and the schema for editors."""

from __future__ import annotations

import os

import click

from mediactl.commands.jobs import state_folder


@click.group()
def recipe() -> None:
    """Recipes: what is derived from each kind of source."""


@recipe.command("list")
def recipe_list() -> None:
    """Recipes that come with mediactl."""
    from mediactl.recipe import loader as recipes

    for name in recipes.builtin_names():
        click.echo(f"{name:<12}  {recipes.load(name).description}")


@recipe.command("show")
@click.argument("name")
@click.option("--resolved", is_flag=True, help="As it comes out, what it extends included.")
def recipe_show(name: str, resolved: bool) -> None:
    """Print a recipe's TOML, to start one of your own from."""
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
@click.option("--against", default=None, metavar="RECIPE", help="Say how FILE differs from this recipe.")
@click.option("--out", default=None, type=click.Path(path_type=bytes), metavar="DIR",
              help="Say what FILE would change of what was made in DIR; touch nothing.")  # fmt: skip
@click.option("--state", default=None, metavar="DIR", help="Where its journal is.  [default: OUT/.mediactl]")
@click.option("-j", "--jobs", type=click.IntRange(min=1), default=None,
              help="Workers that times are told for.  [default: usable cores]")  # fmt: skip
def recipe_check(file: str, against: str | None, out: bytes | None, state: str | None, jobs: int | None) -> None:
    """Check a recipe FILE, and tell what it would change."""
    from mediactl.model.media import Kind
    from mediactl.recipe import loader as recipes

    checked = recipes.load(file)
    outputs = ", ".join(f"{len(checked.outputs(kind))} of {kind.value}" for kind in Kind if checked.outputs(kind))
    click.echo(f"recipe {checked.name!r} is sound: makes {outputs}")
    if against is not None:
        from mediactl.pipeline import impact

        told = list(impact.differences(recipes.load(against), checked))
        for line in told or [f"makes the same as {against}"]:
            click.echo(line)
    if out is not None or state is not None:
        from mediactl.pipeline import dry_run
        from mediactl.pool.limits import available_cores

        place = state_folder(os.path.abspath(out or b"derived"), state)
        if not os.path.exists(os.path.join(place, "journal.db")):
            raise click.UsageError(f"{place}: there is no journal; name the --out of a run, or its --state")
        for line in dry_run.of_recipe(checked, place, os.environ.get("MEDIACTL_FFMPEG"), jobs or available_cores()):
            click.echo(line)


@recipe.command("schema")
def recipe_schema() -> None:
    """Print the JSON Schema of recipes, for an editor to complete and check them by."""
    from mediactl.recipe import schema

    click.echo(schema.text(), nl=False)
