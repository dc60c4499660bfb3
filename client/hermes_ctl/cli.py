"""hermesctl, also installed as `kubectl hermes`: see a mesh work, restart it, check it, look into its nodes and keystores."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from hermes_core.errors import ConfigError, HermesError, KeystoreError
from hermes_ctl.commands import load_commands
from hermes_ctl.errors import EXIT_COULD_NOT_RUN
from hermes_ctl.terminal import complain

_EPILOG = """examples:
  hermesctl check --local                a chat survives SIGKILL of a node, on this machine
  hermesctl status demo --watch          the nodes of a mesh, live
  hermesctl restart demo --wait          verified rolling restart
  hermesctl check --mesh demo            the same check against a mesh in the cluster
  hermesctl render -f mesh.yaml          the manifests, for GitOps
  hermesctl chat --local                 a conversation between two terminals
  source <(hermesctl completion bash)

`hermesctl COMMAND --help` shows examples of each.
"""


def build_parser(program: str = "hermesctl") -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program, description=__doc__, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in load_commands():
        command.register(subparsers)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code of the command; errors are one line that says the cure."""
    if arguments is None:
        signal.signal(signal.SIGTERM, _end_as_ctrl_c_does)
    try:
        parser = build_parser(_program_name())
    except ModuleNotFoundError as error:
        complain(f"there is no module {error.name}: the client is here alone; pip install 'hermes-mesh[ctl]'")
        return EXIT_COULD_NOT_RUN
    options = parser.parse_args(arguments)
    try:
        code: int = options.run(options)
    except (KeystoreError, ConfigError) as error:
        cure = getattr(error, "cure", "")
        complain(f"{error}; {cure}" if cure else str(error))
        return error.exit_code
    except HermesError as error:
        complain(str(error))
        return EXIT_COULD_NOT_RUN
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader (head, less) has gone: say nothing, and keep the interpreter from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return code


def _end_as_ctrl_c_does(_number: int, _frame: FrameType | None) -> None:
    """SIGTERM must tidy up (nodes of --local, Jobs in the cluster), also where SIGINT is ignored, as in background jobs."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.raise_signal(signal.SIGINT)


def _program_name() -> str:
    return "kubectl hermes" if Path(sys.argv[0]).name == "kubectl-hermes" else "hermesctl"


if __name__ == "__main__":
    sys.exit(main())
