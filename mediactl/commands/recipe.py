"""``mediactl recipe``: list, show and check recipes; their JSON Schema. Imports are lazy, as in ``cli``."""

from __future__ import annotations

import json
import os

import click

from mediactl.commands.shared.options import json_option, state_folder
from mediactl.commands.shared.sections import CHECK, Group
from mediactl.commands.shared.types import Name, Path, Recipe


@click.group(cls=Group, section=CHECK, order=3)
def recipe() -> None:
    """List, show and check recipes.

    A recipe says what is derived from each kind of source.
    """


@recipe.command("list", examples=("recipe list", "recipe list --json"))
@json_option("Print one JSON object per recipe.")
def recipe_list(as_json: bool) -> None:
    """List the bundled recipes."""
    from mediactl.recipe import loader as recipes

    for name in recipes.builtin_names():
        text = recipes.load(name).description
        click.echo(json.dumps({"name": name, "description": text}) if as_json else f"{name:<12}  {text}")


@recipe.command("show", examples=("recipe show web", "recipe show gallery.toml --resolved"))
@click.argument("name", type=Recipe())
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


@recipe.command(
    "check",
    examples=(
        "recipe check gallery.toml",
        "recipe check gallery.toml --against web",
        "recipe check gallery.toml -o derived",
    ),
)
@click.argument("file", type=Recipe())
@click.option(
    "--against", type=Recipe(), default=None, metavar="RECIPE", help="Print how FILE differs from this recipe."
)
@click.option("-o", "--out", default=None, type=Path(directory=True), metavar="DIR",
              help="Print what FILE would change in the output directory DIR; change nothing.")  # fmt: skip
@click.option(
    "--state",
    default=None,
    type=Name(directory=True),
    metavar="DIR",
    help="Directory of the journal.  [default: OUT/.mediactl]",
)
@click.option("-j", "--jobs", type=click.IntRange(min=1), default=None, metavar="N",
              help="Number of worker processes to estimate times for.  [default: usable cores]")  # fmt: skip
@json_option()
def recipe_check(
    file: str, against: str | None, out: bytes | None, state: str | None, jobs: int | None, as_json: bool
) -> None:
    """Check a recipe FILE and show what it would change."""
    from mediactl.model.media import Kind
    from mediactl.recipe import loader as recipes

    checked = recipes.load(file)
    numbers = {kind.value: len(checked.outputs(kind)) for kind in Kind if checked.outputs(kind)}
    differences: list[str] = []
    impact_: list[str] = []
    if against is not None:
        from mediactl.pipeline import impact

        differences = list(impact.differences(recipes.load(against), checked)) or [f"no difference from {against}"]
    if out is not None or state is not None:
        from mediactl.pipeline import dry_run
        from mediactl.pool.limits import available_cores

        folder = state_folder(os.path.abspath(out or b"derived"), state)
        if not os.path.exists(os.path.join(folder, "journal.db")):
            raise click.UsageError(f"{folder}: no journal found; name the --out or --state of a run")
        cores = jobs or available_cores()
        impact_ = list(dry_run.of_recipe(checked, folder, os.environ.get("MEDIACTL_FFMPEG"), cores))
    if as_json:
        fields = {"name": checked.name, "outputs": numbers, "differences": differences, "impact": impact_}
        click.echo(json.dumps(fields))
        return
    outputs = ", ".join(f"{number} {kind}" for kind, number in numbers.items())
    for line in (f"recipe {checked.name!r}: valid; outputs: {outputs}", *differences, *impact_):
        click.echo(line)


@recipe.command("schema")
def recipe_schema() -> None:
    """Print the JSON Schema of recipes, for editors."""
    from mediactl.recipe import schema

    click.echo(schema.text(), nl=False)
