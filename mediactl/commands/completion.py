"""The command ``completion``."""

from __future__ import annotations

import click

from mediactl.commands.shared.sections import OTHER, Command

_GLUED = """\
    local response words=("${COMP_WORDS[@]}") number=$COMP_CWORD split=
    if [[ ${words[number]} == : ]] && (( number > 1 )); then
        split=${words[number-1]}:
        words=("${words[@]:0:number-1}" "$split")
        (( number -= 1 ))
    elif (( number > 2 )) && [[ ${words[number-1]} == : ]]; then
        split=${words[number-2]}:
        words=("${words[@]:0:number-2}" "$split${words[number]}")
        (( number -= 2 ))
    fi
"""
_ADAPTED = {
    # Files where mediactl has nothing to offer, as for any command without completion.
    "bash": (
        ("complete -o nosort -F", "complete -o nosort -o bashdefault -o default -F"),
        # bash splits s3://bucket at its colon, and replaces only what is behind it.
        ("    local response\n", _GLUED),
        ('COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD', 'COMP_WORDS="${words[*]}" COMP_CWORD=$number'),
        ("COMPREPLY+=($value)", 'COMPREPLY+=("${value#"$split"}")'),
    ),
    # Works in a .zshrc that has not called compinit.
    "zsh": (
        (
            "    # eval/source/. command",
            "    (( $+functions[compdef] )) || { autoload -Uz compinit && compinit }\n\\g<0>",
        ),
        ("    for type key descr in", '    [[ -n "$response" ]] || { _files; return }\n\\g<0>'),
    ),
    "fish": (),
}
"""Shell -> (text in click's script, what it becomes)."""


@click.command(
    cls=Command,
    section=OTHER,
    examples=(
        "completion bash >> ~/.bashrc",
        "completion zsh >> ~/.zshrc",
        "completion fish > ~/.config/fish/completions/mediactl.fish",
    ),
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a shell completion script.

    It completes commands, options, files, recipes, priorities, lanes, jobs, and the buckets that the journal has.
    """
    import re

    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None  # the choices above are click's own
    script = found(context.find_root().command, {}, "mediactl", "_MEDIACTL_COMPLETE").source()
    for text, adapted in _ADAPTED[shell]:
        script, number = re.subn(re.escape(text), adapted, script)
        assert number == 1, f"click's script for {shell} has changed: {text!r} is not in it once"
    click.echo(script)
