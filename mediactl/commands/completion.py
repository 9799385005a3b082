"""The command ``completion``."""

from __future__ import annotations

import click

from mediactl.commands.shared.sections import OTHER, Command


@click.command(cls=Command, section=OTHER)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a shell completion script.

    For bash, add `source <(mediactl completion bash)` to your .bashrc.
    """
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None  # the choices above are click's own
    click.echo(found(context.find_root().command, {}, "mediactl", "_MEDIACTL_COMPLETE").source())
