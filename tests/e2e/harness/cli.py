"""The command line of the harness."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .choose import FAMILIES, KINDS, choose_cluster
from .errors import HarnessError
from .faults import kill_container
from .interruption import handle_signals
from .kind_cluster import build_node_image
from .leftovers import describe_clean, find_leftovers
from .paths import CHECKOUT, Cache
from .tools import PACKAGES, Tools
from .versions import PROJECT_IMAGE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .cluster import Cluster

COMMANDS = {
    "up": "start the cluster; returns when pods run and names resolve",
    "down": "end it and remove all of it",
    "status": "show processes, node and pods",
    "kubeconfig": "print the path of the kubeconfig",
    "build-image": "build the project's image, and load it when a cluster is up",
    "load-image": "load a built tag or an archive file",
    "kill": "SIGKILL a container's main process: kill NAMESPACE POD CONTAINER",
    "verify-clean": "fail when anything of a cluster is left on the machine",
    "tools": "build all programs into the cache",
    "kind-node-image": "make the image of kind's nodes, unless it is in the cache",
}


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    listed = "\n".join(f"  {name:15} {text}" for name, text in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="cluster.py",
        description="A Kubernetes for the end-to-end tests.",
        epilog=f"commands:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND")
    parser.add_argument("words", nargs="*", metavar="WORD", help="what load-image and kill act on")
    parser.add_argument("--cluster", choices=KINDS, default="local", help="kind of cluster (default: local)")
    parser.add_argument("--nodes", type=int, default=1, help="how many nodes (kind only; default: 1)")
    parser.add_argument("--family", choices=FAMILIES, default="ipv4", help="of addresses (kind only; default: ipv4)")
    parser.add_argument("--tag", default=PROJECT_IMAGE, help="image tag (default: %(default)s)")
    parser.add_argument("--context", type=Path, default=CHECKOUT, help="build context (default: the checkout)")
    parser.add_argument("--verify-clean", action="store_true", help="after `down`, fail when something is left")
    return parser.parse_intermixed_args(argv)  # options may stand between a command and its words


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; errors are one line."""
    options = parse(argv)
    handle_signals()  # so that an `up` that is told to end cleans up like one that fails
    try:
        return _run(options, choose_cluster(options.cluster, options.nodes, options.family))
    except HarnessError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130


def _run(options: argparse.Namespace, cluster: Cluster) -> int:
    command: str = options.command
    if command == "up":
        cluster.up()
        _print(cluster.kubeconfig)
    elif command == "down":
        cluster.down()
        if options.verify_clean:
            return _verify_clean(cluster)
    elif command == "verify-clean":
        return _verify_clean(cluster)
    elif command == "status":
        _print(*cluster.status())
    elif command == "kubeconfig":
        _print(cluster.kubeconfig)
    elif command == "build-image":
        cluster.build_and_load(options.context, options.tag)
    elif command == "load-image":
        for image in options.words or [options.tag]:
            cluster.load_image(image)
    elif command == "kill":
        _kill(cluster, options.words)
    elif command == "tools":
        _build_tools()
    elif command == "kind-node-image":
        build_node_image(Cache.default())
    return 0


def _kill(cluster: Cluster, words: list[str]) -> None:
    if len(words) != 3:
        raise HarnessError("kill takes three words", "kill NAMESPACE POD CONTAINER")
    kill_container(cluster, *words)


def _build_tools() -> None:
    Tools(Cache.default()).ensure(tuple(PACKAGES))


def _verify_clean(cluster: Cluster) -> int:
    looks = cluster.looks()
    left = find_leftovers(looks)
    for line in left:
        sys.stderr.write(f"left: {line}\n")
    sys.stderr.write("NOT clean\n" if left else f"clean: {describe_clean(looks)}\n")
    return 1 if left else 0


def _print(*lines: object) -> None:
    for line in lines:
        sys.stdout.write(f"{line}\n")
