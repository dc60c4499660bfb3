"""The generators: complete, stable, and --check notices a change."""

from __future__ import annotations

from pathlib import Path

import pytest

from hermes_core.errors import ErrorCode
from tools import fill_crd_numbers, generate, generate_chart, generate_errors, generate_metrics, generated_files
from tools.error_texts import CAUSE_AND_CURE


def test_every_code_has_a_cause_and_a_cure() -> None:
    assert set(CAUSE_AND_CURE) == set(ErrorCode)
    assert all(text.endswith(".") for pair in CAUSE_AND_CURE.values() for text in pair)


def test_proto_and_core_have_the_same_codes() -> None:
    assert generate_errors.proto_codes() == {code.name: code.value for code in ErrorCode}


def test_the_error_page_names_every_code_and_exit_code() -> None:
    page = generate_errors.render()[generate_errors.PAGE]
    for code in ErrorCode:
        assert f"| `{code.name}` | {code.value} |" in page
    for exit_code in {*range(70, 82)} - {77}:
        assert f"\n| {exit_code} | `" in page


def test_the_metrics_page_names_every_family() -> None:
    page = generate_metrics.render()[generate_metrics.PAGE]
    for name in ("hermes_build_info", "hermes_resumes_total", "hermes_operator_leader", "grpc_server_handled_total"):
        assert f"| `{name}` |" in page
    assert "_created" not in page


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(generated_files, "ROOT", tmp_path)
    return tmp_path


def test_check_notices_a_missing_and_a_changed_file(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def render() -> dict[str, str]:
        return {"docs/a.md": "one\n"}

    assert generated_files.run(render, ["--check"]) == 1
    assert generated_files.run(render, []) == 0
    assert generated_files.run(render, ["--check"]) == 0
    (elsewhere / "docs/a.md").write_text("two\n")
    assert generated_files.run(render, ["--check"]) == 1
    assert "stale: docs/a.md" in capsys.readouterr().err


def test_a_copy_without_a_source_is_noticed_and_removed(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate_chart, "ROOT", elsewhere)
    (elsewhere / "dashboards").mkdir()
    (elsewhere / "dashboards/one.json").write_text("{}\n")
    old = elsewhere / generate_chart.CHART_FILES / "dashboards/old.json"
    old.parent.mkdir(parents=True)
    old.write_text("{}\n")
    assert sorted(generate_chart.check()) == [
        "charts/hermes-operator/files/dashboards/old.json",
        "charts/hermes-operator/files/dashboards/one.json",
    ]
    generate_chart.generate()
    assert generate_chart.check() == []
    assert not old.exists()


def test_what_a_mark_names_is_written_into_the_definition_anew() -> None:
    text = (generated_files.ROOT / fill_crd_numbers.CRD).read_text()
    assert fill_crd_numbers.fill(text) == text
    for good, bad in (
        ("maximum: 4096", "maximum: 65536"),
        ("duration('87600h')", "duration('1h')"),
        ("default: hermes:dev # from", "default: hermes:old # from"),
        ("duration(self) >= duration('1s')", "duration(self) >= duration('2s')"),
        ("self.window <= self.maxSkip", "true"),
    ):
        assert good in text
        assert fill_crd_numbers.fill(text.replace(good, bad)) == text
    with pytest.raises(KeyError, match="NoSpec"):
        fill_crd_numbers.fill("  a: # from NoSpec.field\n")


def test_an_unknown_generator_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        generate.main(["--check", "nothing"])
    assert "no generator nothing" in capsys.readouterr().err


def test_the_chart_is_copied_last() -> None:
    assert list(generate.GENERATORS)[-1] == "chart"
