"""hermesctl version."""

from __future__ import annotations

import argparse
import importlib.metadata
import platform
from typing import Any

from hermes_core.handshake.transcript import PROTOCOL_VERSION
from hermes_ctl.output import add_output_option, format_table, print_data
from hermes_ctl.terminal import say


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser("version", help="show the version of this program", description=__doc__)
    add_output_option(parser, ("table", "json", "yaml"))
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    facts = {
        "version": importlib.metadata.version("hermes-mesh"),
        "protocol": PROTOCOL_VERSION,
        "python": platform.python_version(),
    }
    if options.output == "table":
        say(format_table(tuple(facts), [[str(value) for value in facts.values()]]))
    else:
        print_data(facts, options.output)
    return 0
