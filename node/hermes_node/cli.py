"""`hermes-node`: reads the configuration, runs the node, and ends with one line and an exit code when it cannot."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from hermes_core.errors import HermesError
from hermes_node.config.preflight import check_surroundings
from hermes_node.config.sources import load_config
from hermes_node.core_dumps import forbid_core_dumps
from hermes_node.descriptors import raise_descriptor_limit
from hermes_node.errors import NodeError, describe_failure, report_failure
from hermes_node.version import read_version


def main(arguments: list[str] | None = None) -> int:
    """The exit code: 0, or that of `hermes_core.errors` and `hermes_node.errors`."""
    options = _build_parser().parse_args(arguments)
    if options.version:
        sys.stdout.write(f"hermes-node {read_version()}\n")
        return 0
    try:
        config = load_config(options.config, os.environ)
        if options.check_config:
            sys.stdout.write("configuration is valid\n")
            return 0
        if not config.node.core_dumps:
            forbid_core_dumps()
        raise_descriptor_limit()
        check_surroundings(config)
        _prepare_grpc()
        from hermes_node.lifecycle.run import run_node  # noqa: PLC0415 - gRPC reads its environment when it is imported

        return run_node(config, os.environ)
    except ModuleNotFoundError as error:
        report_failure(f"there is no module {error.name}: the client is here alone; pip install 'hermes-mesh[node]'")
        return NodeError.exit_code
    except HermesError as error:
        exit_code, line = describe_failure(error)
        report_failure(line)
        return exit_code


def _prepare_grpc() -> None:
    # gRPC's own log lines are not ours to format, and what they tell is counted or logged by the node already.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hermes-node",
        description="A Hermes node: routes encrypted chats and keeps their ratchets sealed.",
        epilog="Settings: docs/reference/configuration.md. Every setting may be given as HERMES_<SECTION>_<NAME>.",
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML file with the settings")
    parser.add_argument("--check-config", action="store_true", help="judge the settings and exit")
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    return parser


if __name__ == "__main__":
    sys.exit(main())
