"""What the commands of the tests say of what they cannot do: a sentence and exit code, neither a traceback nor other work."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.mesh import homes
from tests.mesh.page import read_options
from tests.mesh.table import FIGURES


@pytest.mark.parametrize("members", ["0", "-1", "1", "some"])
def test_figures_of_no_mesh_are_refused(
    members: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nought once meant every size."""
    monkeypatch.setattr(sys, "argv", ["tests.mesh", "rest", f"--members={members}"])
    with pytest.raises(SystemExit) as ended:
        read_options("python -m tests.mesh", None, FIGURES)
    assert ended.value.code == 2
    assert f"2 members or more, not {members}" in capsys.readouterr().err


def test_what_has_no_options_takes_none(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["tests.mesh.homes", "--nodes", "7"])
    with pytest.raises(SystemExit) as ended:
        homes.main()
    assert ended.value.code == 2
    assert "unrecognized arguments: --nodes 7" in capsys.readouterr().err


def test_the_liar_says_what_is_not_installed() -> None:
    """As in the virtual environment that `make demo` makes."""
    script = (
        "import runpy, sys; sys.modules['cryptography_vectors'] = None; runpy.run_module('tests.liar', run_name='__main__')"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr == (
        "python -m tests.liar: cryptography_vectors is not installed here; `make venv` installs all that tests need\n"
    )
