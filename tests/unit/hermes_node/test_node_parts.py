"""Small parts of the node: addresses, failures, the verdicts of a resume, steady time."""

from __future__ import annotations

from pathlib import Path

import pytest

from hermes_core.errors import ConfigError, KeystoreBadPassphraseError, KeystoreError
from hermes_core.keystore.witness import Comparison
from hermes_keystore import KeystoreMark
from hermes_node.admin.resume_check import Facts, judge_by_witness
from hermes_node.clock import SteadyClock
from hermes_node.config.addresses import Address, parse_address, parse_seed
from hermes_node.errors import CertificateError, ListenError, NodeError, describe_failure, report_failure
from hermes_proto.v2 import admin_pb2


def test_addresses_print_as_they_were_parsed() -> None:
    for text in ("localhost:0", "10.0.0.1:65535", "[::1]:8443"):
        assert str(parse_address(text, "f")) == text
    assert parse_seed("dns:nodes.svc:7443", "f").resolve_all
    assert parse_seed("a:1", "f").address == Address("a", 1)
    assert str(parse_seed("dns:[::1]:1", "f")) == "dns:[::1]:1"


def test_every_failure_is_one_line_with_code_and_cure() -> None:
    errors = [
        ConfigError("app.listen", "'x' is not host:port"),
        KeystoreBadPassphraseError(),
        CertificateError("mesh.tls_key: cannot read /k: No such file or directory"),
        ListenError("app.listen: cannot listen on h:1"),
        NodeError("chats: ValueError"),
    ]
    codes = [describe_failure(error) for error in errors]
    assert [code for code, _ in codes] == [78, 71, 81, 80, 70]
    for _, line in codes:
        assert "\n" not in line
        assert line.split(":")[0].isupper()
        assert "; cure: " in line
    assert "app.listen" in codes[0][1]
    assert "passphrase does not open" in codes[1][1]


def test_exit_codes_are_distinct() -> None:
    def walk(kind: type[KeystoreError | NodeError]) -> list[int]:
        return [kind.exit_code] + [code for sub in kind.__subclasses__() for code in walk(sub)]

    # The two roots share 70, "something else".
    codes = [code for code in [*walk(KeystoreError), *walk(NodeError), ConfigError.exit_code] if code != 70]
    assert len(codes) == len(set(codes))


def facts(**changes: object) -> Facts:
    values: dict[str, object] = {
        "fingerprint": "f",
        "mark": KeystoreMark(3, 10),
        "digest": "d",
        "pruned": False,
        "comparison": Comparison(0, 0, 0),
    }
    return Facts(**(values | changes))  # type: ignore[arg-type]


VERDICTS = [
    ({}, admin_pb2.RESUMED),
    ({"mark": KeystoreMark(4, 11)}, admin_pb2.RESUMED),
    ({"comparison": Comparison(5, 0, 0)}, admin_pb2.RESUMED),
    ({"fingerprint": "g", "mark": KeystoreMark(1, 1)}, admin_pb2.IDENTITY_CHANGED),
    ({"mark": KeystoreMark(2, 11)}, admin_pb2.ROLLED_BACK),
    ({"mark": KeystoreMark(3, 9)}, admin_pb2.ROLLED_BACK),
    ({"digest": None, "comparison": None}, admin_pb2.ROLLED_BACK),
    ({"digest": None, "comparison": None, "pruned": True}, admin_pb2.RECORDS_MISSING),
    ({"digest": "e"}, admin_pb2.ROLLED_BACK),
    ({"comparison": Comparison(0, 1, 1)}, admin_pb2.RECORDS_MISSING),
    ({"comparison": Comparison(0, 0, 1)}, admin_pb2.POSITIONS_LOWERED),
]


@pytest.mark.parametrize(("changes", "verdict"), VERDICTS)
def test_the_gravest_finding_is_the_verdict(changes: dict[str, object], verdict: int) -> None:
    mark = admin_pb2.KeystoreMark(generation=3, commit_counter=10)
    witness = admin_pb2.ResumeWitness(identity_fingerprint="f", keystore=mark, digest="d")
    judged = judge_by_witness(witness, facts(**changes))
    assert judged.verdict == verdict
    assert judged.detail


def test_the_clock_ignores_a_step_of_the_systems_time() -> None:
    wall, monotonic = [1000.0], [5.0]
    clock = SteadyClock(lambda: wall[0], lambda: monotonic[0])
    wall[0], monotonic[0] = 10.0, 6.5
    assert clock.now() == 1001.5


def test_a_failure_is_also_the_containers_termination_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "termination-log"
    monkeypatch.setattr("hermes_node.errors.TERMINATION_LOG", path)
    report_failure("KEYSTORE_IO: full; cure: space")
    assert not path.exists()  # only where Kubernetes made one
    path.touch()
    report_failure("KEYSTORE_IO: full; cure: space")
    assert path.read_text() == "KEYSTORE_IO: full; cure: space\n"
    assert capsys.readouterr().err == "hermes-node: KEYSTORE_IO: full; cure: space\n" * 2
