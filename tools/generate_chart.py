"""Copies that the Helm chart carries of files whose source is elsewhere: the CRD, the dashboards.

A chart can only read files inside its own folder, and symbolic links vanish from a source distribution. The alert rules get
into the chart in another shape: see `tools.generate_alerts`.
"""

from __future__ import annotations

from pathlib import Path

from tools.generated_files import ROOT, Files, stale_files, write_files

CHART_FILES = "charts/hermes-operator/files"
COPIED = {"crds": "*.yaml", "dashboards": "*.json"}


def render() -> Files:
    return {
        f"{CHART_FILES}/{folder}/{path.name}": path.read_text()
        for folder, pattern in COPIED.items()
        for path in sorted((ROOT / folder).glob(pattern))
    }


def generate() -> None:
    """Copy, and remove copies of what is gone."""
    for path in _left_over():
        path.unlink()
    write_files(render())


def check() -> list[str]:
    return stale_files(render()) + [str(path.relative_to(ROOT)) for path in _left_over()]


def _left_over() -> list[Path]:
    wanted = render()
    folders = [ROOT / CHART_FILES / folder for folder in COPIED]
    present = [path for folder in folders if folder.is_dir() for path in sorted(folder.iterdir())]
    return [path for path in present if str(path.relative_to(ROOT)) not in wanted]
