"""hermesctl as a program: help that teaches, errors in one line, completion that knows every command."""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess

import pytest

from hermes_ctl.cli import build_parser, main
from hermes_ctl.commands import load_commands


def _subparsers() -> dict[str, argparse.ArgumentParser]:
    for action in build_parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    raise AssertionError("no commands")


def _all_help(parser: argparse.ArgumentParser) -> str:
    """Help of a command and of its own subcommands."""
    nested = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return parser.format_help() + "".join(_all_help(child) for action in nested for child in action.choices.values())


def test_every_command_file_adds_a_command_that_teaches_by_example() -> None:
    commands = _subparsers()
    assert len(commands) == len(load_commands())
    for name, parser in commands.items():
        if name != "version":
            assert "examples:" in parser.format_help(), name
            assert f"hermesctl {name}" in parser.format_help(), name
        assert parser.get_default("run") is not None or parser._subparsers is not None, name


def test_examples_in_the_help_name_commands_and_options_that_exist() -> None:
    commands = _subparsers()
    for parser in (build_parser(), *commands.values()):
        for name, rest in re.findall(r"hermesctl ([a-z]+)([^\n>]*)", parser.epilog or ""):
            assert name in commands, name
            for option in re.findall(r"(?<![\w-])--?[a-z][a-z-]*", rest):
                known = _all_help(commands[name])
                assert option in known, f"{name} {option}"


def test_an_echo_that_is_to_call_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """It ignored whom."""
    assert main(["chat", "--local", "--echo", "--to", "somebody"]) == 2
    assert capsys.readouterr().err == "hermesctl: --echo waits for calls, --to makes one: give one of them\n"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version", "-o", "json"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == {"version", "protocol", "python"}


def test_no_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([])
    assert stopped.value.code == 2
    assert "COMMAND" in capsys.readouterr().err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_names_every_command(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    out = capsys.readouterr().out
    for name in _subparsers():
        assert re.search(rf"\b{name}\b", out), name
    assert "watch" in out


@pytest.mark.parametrize(
    ("words", "expected"), [("sta", ["status"]), ("status --wa", ["--watch"]), ("completion z", ["zsh"]), ("nonsense x", [])]
)
def test_bash_completes(words: str, expected: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    bash = shutil.which("bash")
    assert bash is not None, "install bash"
    main(["completion", "bash"])
    script = capsys.readouterr().out
    line = ["hermesctl", *words.split()]
    run = f'COMP_WORDS=({" ".join(line)}); COMP_CWORD={len(line) - 1}; _hermesctl; printf "%s\\n" "${{COMPREPLY[@]}}"'
    done = subprocess.run([bash, "--norc", "-c", f"{script}\n{run}"], capture_output=True, text=True, check=True)
    assert done.stdout.split() == expected


def test_an_unreadable_token_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["node", "--admin", "http://127.0.0.1:1", "--token-file", "/nonexistent"]) == 2
    assert capsys.readouterr().err == "hermesctl: cannot read the admin token /nonexistent: No such file or directory\n"
