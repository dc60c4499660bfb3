"""A node's volume: copied, and put back as whoever restores a backup does."""

from __future__ import annotations

import shutil
from pathlib import Path

from hermes_client.scenario.local_mesh import LocalNode


def keystore_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("keystore.db*"))


def copy_volume(node: LocalNode, to: Path) -> None:
    to.mkdir()
    for file in keystore_files(node.keystore_path.parent):
        shutil.copy2(file, to)


def put_back(node: LocalNode, image: Path) -> None:
    for file in keystore_files(node.keystore_path.parent):
        file.unlink()
    for file in keystore_files(image):
        shutil.copy2(file, node.keystore_path.parent)
