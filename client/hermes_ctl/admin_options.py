"""Which node a command asks, and with what: the options of every command that talks to one admin server."""

from __future__ import annotations

import argparse
from pathlib import Path

from hermes_client.scenario.admin_client import AdminClient


def add_admin_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--admin", required=True, metavar="URL", help="such as http://127.0.0.1:9090")
    parser.add_argument("--token-file", required=True, type=Path, metavar="FILE", help="the mesh's admin token")


def open_admin(options: argparse.Namespace) -> AdminClient:
    """As `add_admin_options` had it said."""
    return AdminClient.from_file(options.admin, options.token_file)
