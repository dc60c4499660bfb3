"""The ready file: once a node serves, the bound addresses and the pid as JSON, for whoever started it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from hermes_node.config.addresses import Address


def write_ready_file(path: Path, addresses: Mapping[str, Address]) -> None:
    """A server that does not listen has an empty address; the file appears whole."""
    facts: dict[str, object] = {"app": "", "mesh": "", "admin": "", "pid": os.getpid()}
    facts.update({name: str(address) for name, address in addresses.items()})
    draft = path.with_name(path.name + ".tmp")
    draft.write_text(json.dumps(facts) + "\n")
    draft.replace(path)
