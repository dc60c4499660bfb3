"""A node process with a resolver of its own: names are what a file says, as that stands whenever the node asks.

`python -m tests.support.named_node FILE` and then what `hermes-node` is given. FILE is JSON: from a name to its addresses; an
empty list does not resolve, null is a name server that does not answer. Other names go to the machine's resolver.
"""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from typing import Any

from hermes_node.cli import main


def answer_from(file: Path) -> None:
    of_the_machine = socket.getaddrinfo

    def resolve(host: Any, port: Any, *others: Any, **named: Any) -> Any:
        names = json.loads(file.read_text())
        if host not in names:
            return of_the_machine(host, port, *others, **named)
        addresses = names[host]
        if addresses is None:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [found for address in addresses for found in of_the_machine(address, port, *others, **named)]

    socket.getaddrinfo = resolve


if __name__ == "__main__":
    answer_from(Path(sys.argv[1]))
    sys.exit(main(sys.argv[2:]))
