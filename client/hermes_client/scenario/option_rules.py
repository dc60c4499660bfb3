"""Which options of a scenario mean something beside which others: one that would be ignored is refused at once."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

Holds = Callable[[argparse.Namespace], bool]


@dataclass(frozen=True, slots=True)
class OptionRule:
    """Options that mean something only where `holds`; `where` says so in words."""

    where: str
    holds: Holds
    names: tuple[str, ...]


def is_soak(options: argparse.Namespace) -> bool:
    return bool(options.duration > 0)


def kills_outside(options: argparse.Namespace) -> bool:
    """Somebody else kills, and waits to be told when."""
    return bool(options.wait_for_kill or options.kill in ("external", "operator"))


def kills_pod(options: argparse.Namespace) -> bool:
    return options.kill in ("kubectl", "pod")


SCENARIO_RULES: Final = (
    OptionRule("with --duration", is_soak, ("pairs", "rate", "min_resumes", "stop_file")),
    OptionRule("without --duration", lambda options: not is_soak(options), ("messages", "restart_timeout")),
    OptionRule("as external with --duration", lambda options: not (is_soak(options) and kills_pod(options)), ("kill",)),
    OptionRule("with --kill kubectl", kills_pod, ("pod", "namespace", "context")),
    OptionRule("with --kill external or --duration", lambda it: is_soak(it) or kills_outside(it), ("ready_file",)),
    OptionRule("without another --kill", lambda options: options.kill in (None, "external", "operator"), ("wait_for_kill",)),
    OptionRule("without --plain", lambda options: not options.plain, ("ca", "server_name")),
    OptionRule("with --admin", lambda options: bool(options.admin), ("admin_token_file",)),
)
"""Of a scenario that runs here."""


def find_ignored(parser: argparse.ArgumentParser, options: argparse.Namespace, rules: Iterable[OptionRule]) -> str | None:
    """Return, in a line for a person, the first option that was given and would be ignored."""
    for rule in rules:
        for name in rule.names:
            if getattr(options, name) != parser.get_default(name) and not rule.holds(options):
                return f"--{name.replace('_', '-')} means something only {rule.where}"
    return None


def refuse_ignored(parser: argparse.ArgumentParser, options: argparse.Namespace, rules: Iterable[OptionRule]) -> None:
    """End as argparse does (exit code 2, usage) where an option would be ignored."""
    ignored = find_ignored(parser, options, rules)
    if ignored is not None:
        parser.error(ignored)
