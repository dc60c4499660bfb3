"""The ready file: once a node serves, what it is bound to and its pid as JSON, for whoever started it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from hermes_node.config.addresses import Address
from hermes_node.config.sections import AppSecurity


def write_ready_file(path: Path, addresses: Mapping[str, Address], app_security: AppSecurity, fronts: int) -> None:
    """A server that does not listen has an empty address; the file appears whole."""
    facts: dict[str, object] = {"app": "", "mesh": "", "admin": "", "app_security": app_security}
    facts |= {"fronts": fronts, "pid": os.getpid()}
    facts.update({name: str(address) for name, address in addresses.items()})
    draft = path.with_name(path.name + ".tmp")
    draft.write_text(json.dumps(facts) + "\n")
    draft.replace(path)
