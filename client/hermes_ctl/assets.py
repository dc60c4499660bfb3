"""Where charts, CRDs, dashboards and alerts are: in the installed package, or in the checkout of an editable install."""

from __future__ import annotations

from pathlib import Path

from hermes_ctl.errors import CtlError

_PACKAGE = Path(__file__).resolve().parent


def find_asset(name: str) -> Path:
    """The folder `name` ("charts", "crds" …); CtlError when this installation has none."""
    for folder in (_PACKAGE / "_assets" / name, _PACKAGE.parents[1] / name):
        if folder.is_dir():
            return folder
    raise CtlError(f"this installation has no {name}; install hermes-mesh with pip, or run from a checkout")
