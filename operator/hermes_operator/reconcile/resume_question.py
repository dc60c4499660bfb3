"""The question to a node that may have restarted: its report, after it judged whatever mark of it is held."""

from __future__ import annotations

from dataclasses import replace

from hermes_core.keystore.witness_verdict import ResumeVerdict
from hermes_operator.nodes.client import NodeClient
from hermes_operator.nodes.held_mark import find_on_claim, is_of_another_opening
from hermes_operator.nodes.members import MemberRecord
from hermes_operator.nodes.resume_report import ResumeReport, Witness
from hermes_operator.observe.observed import Observed, PodView


def recall(seen: Observed, member: MemberRecord) -> MemberRecord:
    """The member with the mark on its claim, where the status has none: the claim may be older than the mesh."""
    return member if member.mark else replace(member, mark=find_on_claim(seen.claims, member.pod))


async def ask_resume(nodes: NodeClient, pod: PodView, token: str, witness: Witness | None, mark: str) -> ResumeReport:
    """NodeRequestError when the node cannot be asked. A witness brings a newer mark along; else `mark` is handed back.

    A node that is in the opening of the mark is asked nothing more.
    """
    report = await nodes.check_resume(pod.name, pod.ip, token, witness)
    if (witness is not None and witness.mark) or not is_of_another_opening(mark, report.open_id):
        return report
    judged = await nodes.hand_back(pod.name, pod.ip, token, mark)
    return judged if judged.verdict is ResumeVerdict.ROLLED_BACK else report
