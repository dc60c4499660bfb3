"""The operator holds the marks of its nodes, and hands each back to a node that is in another opening, in rollouts or not."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from hermes_core.crypto.signing import Identity
from hermes_core.ids import derive_app_id
from hermes_core.keystore.mark import encode_mark, sign_mark
from hermes_core.keystore.state import KeystoreMark
from hermes_operator import names
from hermes_operator.nodes.client import _encode_witness
from hermes_operator.nodes.held_mark import read_authentic
from hermes_operator.nodes.resume_report import Witness
from tests.component.operator.conftest import OperatedCluster
from tests.component.operator.fake_nodes import FakeDisk

POD = "demo-1"


def prepare(operated: OperatedCluster) -> None:
    for ordinal in range(3):
        signer = Identity.generate()
        operated.nodes.disks[names.pod_name("demo", ordinal)] = FakeDisk(derive_app_id(signer.public_key), signer=signer)
    operated.create_mesh()


def held(operated: OperatedCluster) -> str:
    return str(next(member for member in operated.status()["members"] if member["pod"] == POD).get("keystoreMark", ""))


def on_claim(operated: OperatedCluster) -> str:
    claim = operated.api.of("persistentvolumeclaims")[names.volume_claim(POD)]
    return str((claim["metadata"].get("annotations") or {}).get(names.ANNOTATION_MARK, ""))


def handed_back(operated: OperatedCluster) -> list[str]:
    return [asked for asked in operated.nodes.asked if asked.startswith("POST /resume/mark")]


def replace_pod(operated: OperatedCluster) -> None:
    """Somebody deletes it: it comes back by itself, outside of any rollout."""
    operated.api.delete(("pods", "chat", POD))
    operated.nodes.step()


async def test_marks_stand_in_the_status_and_once_a_start_on_the_claim(operated: OperatedCluster) -> None:
    prepare(operated)
    await operated.until_running()
    assert held(operated) == on_claim(operated) == operated.nodes.disks[POD].mark
    operated.nodes.disks[POD].counter += 5
    await operated.one_pass(refresh=True)
    assert held(operated) == operated.nodes.disks[POD].mark != on_claim(operated)
    operated.api.writes.clear()
    await operated.one_pass(refresh=True)
    assert operated.api.writes == []
    assert not handed_back(operated)


async def test_a_pod_that_came_back_is_handed_its_mark_and_is_fine(operated: OperatedCluster) -> None:
    prepare(operated)
    await operated.until_running()
    replace_pod(operated)
    await operated.one_pass()
    assert handed_back(operated) == [f"POST /resume/mark {POD}"]
    assert operated.condition("ResumeVerified") == ("True", "AllResumed")
    assert held(operated) == on_claim(operated) == operated.nodes.disks[POD].mark


@pytest.mark.parametrize("forgotten", [False, True], ids=["in the status", "on the claim alone"])
async def test_a_volume_that_was_put_back_is_noticed_by_what_the_operator_kept(
    operated: OperatedCluster, forgotten: bool
) -> None:
    prepare(operated)
    await operated.until_running()
    disk = operated.nodes.disks[POD]
    image = replace(disk, openings=[*disk.openings])
    replace_pod(operated)
    await operated.one_pass()
    newer = held(operated)
    image.counter = operated.nodes.disks[POD].counter + 100  # its counter alone gives nothing away: it ran on
    operated.nodes.disks[POD] = image
    if forgotten:
        mesh = operated.api.of("hermesmeshes")["demo"]
        members = [member for member in mesh["status"]["members"] if member["pod"] != POD]
        operated.api.put("hermesmeshes", mesh | {"status": mesh["status"] | {"members": members}})
    replace_pod(operated)
    await operated.one_pass()
    assert operated.condition("ResumeVerified")[0] == "False"
    assert operated.status()["lastResumeCheck"]["result"] == "fail"
    told = next(member for member in operated.status()["members"] if member["pod"] == POD)
    assert (told["resumeVerdict"], told["lostChats"], told["resumeDetail"]) == ("ROLLED_BACK", 4, "a later state")
    assert held(operated) == on_claim(operated) == newer, "what proved it stays until the node is well again"
    replace_pod(operated)
    await operated.one_pass()
    assert operated.condition("ResumeVerified") == ("True", "AllResumed"), "one rollback is judged once"
    assert held(operated) == operated.nodes.disks[POD].mark


@pytest.mark.parametrize("made_up_mark", ["bm90IGEgbWFyaw==", "no base64", "é"])
async def test_what_the_node_did_not_sign_is_not_held(operated: OperatedCluster, made_up_mark: str) -> None:
    prepare(operated)
    operated.nodes.disks[POD].signer = Identity.generate()  # not that of the identity in its answers
    await operated.until_running()
    assert held(operated) == on_claim(operated) == ""
    made_up = operated.api.of("persistentvolumeclaims")[names.volume_claim(POD)]
    annotations = {names.ANNOTATION_MARK: made_up_mark}
    operated.api.put("persistentvolumeclaims", made_up | {"metadata": made_up["metadata"] | {"annotations": annotations}})
    assert read_authentic(on_claim(operated)) is None
    replace_pod(operated)
    await operated.one_pass()
    assert not handed_back(operated)
    assert operated.condition("ResumeVerified") == ("True", "AllResumed")


@pytest.mark.parametrize("made_up", ["é", "no base64", "bm90IGEgbWFyaw=="])
def test_what_somebody_wrote_into_the_status_in_place_of_a_witness_mark_is_not_handed_back(made_up: str) -> None:
    witness = Witness(POD, "fingerprint", 1, 2, 3, "00" * 16, "11" * 32, made_up)
    assert _encode_witness(witness).mark == b""
    whole = base64.b64encode(encode_mark(sign_mark(Identity.generate(), b"i" * 16, KeystoreMark(1, 2)))).decode()
    assert _encode_witness(replace(witness, mark=whole)).mark == base64.b64decode(whole)


async def test_a_rollout_takes_the_mark_along_with_its_witness(operated: OperatedCluster) -> None:
    prepare(operated)
    await operated.until_running()
    operated.change_mesh(annotations={names.ANNOTATION_RESTARTED: "2026-11-24T00:00:00Z"})
    await operated.until(lambda: "witness" in operated.status().get("rollout", {}))
    assert read_authentic(operated.status()["rollout"]["witness"]["mark"]) is not None
    await operated.until_running()
    assert not handed_back(operated)
    assert held(operated) == operated.nodes.disks[POD].mark == on_claim(operated)
