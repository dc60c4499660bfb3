"""hermesctl completion: print what a shell needs to complete commands and options."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from hermes_ctl.terminal import say

_EPILOG = """examples:
  source <(hermesctl completion bash)
  hermesctl completion zsh > "${fpath[1]}/_hermesctl"
  hermesctl completion fish > ~/.config/fish/completions/hermesctl.fish
"""

Words = dict[str, list[str]]


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "completion",
        help="print shell completion",
        description="Print what a shell needs to complete hermesctl's commands and options.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shell", choices=sorted(_BUILDERS))
    parser.set_defaults(run=lambda options: run(options, subparsers))


def run(options: argparse.Namespace, subparsers: Any) -> int:
    say(_BUILDERS[options.shell](list_words(subparsers)))
    return 0


def list_words(subparsers: Any) -> Words:
    """What may follow each command: its options, its own subcommands, and the choices of its arguments."""
    words: Words = {}
    for name, parser in subparsers.choices.items():
        found: list[str] = []
        for action in parser._actions:  # noqa: SLF001 - argparse has no public way to list them
            found += action.option_strings
            if action.choices is not None and not action.option_strings:
                found += [str(choice) for choice in action.choices]
        words[name] = sorted(set(found))
    return words


def _build_bash(words: Words) -> str:
    cases = "\n".join(f"    {name}) words={' '.join(found)!r} ;;" for name, found in words.items())
    return f"""_hermesctl() {{
  local words={" ".join(words)!r}
  if [ "$COMP_CWORD" -gt 1 ]; then
    case "${{COMP_WORDS[1]}}" in
{cases}
    *) words= ;;
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "${{COMP_WORDS[COMP_CWORD]}}"))
}}
complete -o default -F _hermesctl hermesctl"""


def _build_zsh(words: Words) -> str:
    cases = "\n".join(f"    {name}) compadd -- {' '.join(found)} ;;" for name, found in words.items())
    return f"""#compdef hermesctl
_hermesctl() {{
  if (( CURRENT == 2 )); then
    compadd -- {" ".join(words)}
    return
  fi
  case "${{words[2]}}" in
{cases}
  esac
  _files
}}
compdef _hermesctl hermesctl"""


def _build_fish(words: Words) -> str:
    lines = [f"complete -c hermesctl -n __fish_use_subcommand -f -a {name}" for name in words]
    for name, found in words.items():
        lines += [f"complete -c hermesctl -n '__fish_seen_subcommand_from {name}' {_fish_word(word)}" for word in found]
    return "\n".join(lines)


def _fish_word(word: str) -> str:
    if word.startswith("--"):
        return f"-l {word[2:]}"
    if word.startswith("-"):
        return f"-s {word[1:]}"
    return f"-a {word}"


_BUILDERS: dict[str, Callable[[Words], str]] = {"bash": _build_bash, "zsh": _build_zsh, "fish": _build_fish}
