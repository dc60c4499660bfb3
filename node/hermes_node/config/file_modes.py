"""Who else may use the files that a configuration names: everybody's writing is refused, everybody's reading is told.

Nobody is asked to close a file to its *group*: Kubernetes gives mounted secrets 0440, and makes what lies on a volume with an
fsGroup readable and writable for that group (0660). See docs/concepts/security.md, Files.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from hermes_core.errors import ConfigError
from hermes_node.config.sections import Config


def refuse_writable(found: os.stat_result, path: str, field: str) -> None:
    """ConfigError for a regular file that everybody may write."""
    if stat.S_ISREG(found.st_mode) and found.st_mode & stat.S_IWOTH:
        raise ConfigError(field, f"everybody may write {path}: take that away (`chmod o-w FILE`)")


def find_exposed(config: Config) -> Iterator[Path]:
    """Files of secrets that everybody may read; what is not there, or no file, is for others to tell."""
    named = (config.keystore.passphrase_file, config.admin.token_file, config.app.tls_key, config.mesh.tls_key)
    for path in (config.keystore_path, *(Path(name) for name in dict.fromkeys(named) if name)):
        try:
            mode = path.stat().st_mode
        except OSError:
            continue
        if stat.S_ISREG(mode) and mode & stat.S_IROTH:
            yield path
