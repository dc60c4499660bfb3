"""Each rule of SWIM taken out once: the test that holds it must notice.

A row is a method, a line of it, what stands there instead, and that test.
"""

from __future__ import annotations

import inspect
import sys
import textwrap
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import pytest

from hermes_core.mesh.messages import MemberState
from hermes_core.mesh.swim.accusers import Accusers
from hermes_core.mesh.swim.anti_entropy import AntiEntropy
from hermes_core.mesh.swim.dissemination import Dissemination
from hermes_core.mesh.swim.errands import Errands
from hermes_core.mesh.swim.health import LocalHealth
from hermes_core.mesh.swim.hearsay import Hearsay
from hermes_core.mesh.swim.incarnation import OwnIncarnation
from hermes_core.mesh.swim.judge import Judge
from hermes_core.mesh.swim.links import MemberLinks
from hermes_core.mesh.swim.machine import Swim
from hermes_core.mesh.swim.params import SwimParams
from hermes_core.mesh.swim.parts import SwimParts
from hermes_core.mesh.swim.pauses import Pauses
from hermes_core.mesh.swim.pins import Pins
from hermes_core.mesh.swim.prober import Prober
from hermes_core.mesh.swim.rings import ProbeRings
from hermes_core.mesh.swim.roster import Roster
from hermes_core.mesh.swim.rounds import Rounds
from hermes_core.mesh.swim.rumours import Rumours
from hermes_core.mesh.swim.suspicions import Suspicion, Suspicions
from hermes_core.token_bucket import TokenBucket
from tests.unit.hermes_core.mesh.swim import test_believed as believed
from tests.unit.hermes_core.mesh.swim import test_names as names
from tests.unit.hermes_core.mesh.swim import test_probes as probes
from tests.unit.hermes_core.mesh.swim.bench import PARAMS


class RuleMutant(NamedTuple):
    of: type
    method: str
    line: str
    instead: str
    notices: Callable[[], None]


def call(test: Callable[..., None], *arguments: Any) -> Callable[[], None]:
    return lambda: test(*arguments)


MUTANTS: Final[dict[str, RuleMutant]] = {
    "accusations need no signature": RuleMutant(
        Judge,
        "_is_signed",
        "if is_accusation(said, self._parts.signatures)",
        "if True",
        believed.test_an_accusation_in_anothers_name_is_not_believed_and_its_bringer_is_named,
    ),
    "forged accusations name nobody": RuleMutant(
        Judge,
        "_is_signed",
        "self._parts.name_liar(sender, Lie.SIGNATURE, now)",
        "pass",
        believed.test_an_accusation_in_anothers_name_is_not_believed_and_its_bringer_is_named,
    ),
    "any incarnation can be accused": RuleMutant(
        Judge,
        "hear",
        "or subject.descriptor.incarnation != said.incarnation",
        "",
        call(believed.test_an_accusation_of_an_incarnation_that_the_subject_did_not_sign_is_dropped, 2**63 - 1),
    ),
    "any key can be accused": RuleMutant(
        Judge,
        "hear",
        "or subject.descriptor.node_key != said.subject_key",
        "",
        call(believed.test_an_accusation_with_another_field_is_not_believed, "subject_key"),
    ),
    "an accuser is heard again as another run": RuleMutant(
        Suspicions,
        "was_heard",
        "said.accuser in known.accusers",
        "said in known.accusations",
        probes.test_an_answered_accusation_opens_nothing_again,
    ),
    "accusers have no budget": RuleMutant(
        Accusers,
        "allows",
        "and len(self._open.get(accuser, ())) < self._most",
        "",
        believed.test_an_accuser_has_a_budget_of_open_accusations,
    ),
    "named accusers are believed": RuleMutant(
        Accusers,
        "allows",
        "accuser not in self._named and",
        "",
        believed.test_who_accuses_those_that_answer_is_named_and_not_believed_any_more,
    ),
    "nobody is named for accusations": RuleMutant(
        Judge,
        "_blame",
        "self._parts.name_liar(said.accuser, Lie.ACCUSATIONS, now)",
        "pass",
        believed.test_who_accuses_those_that_answer_is_named_and_not_believed_any_more,
    ),
    "no amnesty": RuleMutant(
        Judge,
        "_blame",
        "or now - accuser.up_since < self._parts.params.blame_s",
        "",
        believed.test_who_was_dead_here_just_now_is_not_blamed,
    ),
    "wrong accusations are never forgiven": RuleMutant(
        Accusers,
        "tidy",
        "if now - at >= self._window_s",
        "if False",
        names.test_wrong_accusations_are_forgiven_and_their_memory_is_bounded,
    ),
    "any accusation is contradicted": RuleMutant(
        Judge,
        "_contradict",
        "or said.incarnation != current.incarnation",
        "",
        call(believed.test_a_node_contradicts_nothing_but_its_current_incarnation, 4),
    ),
    "accusations are outbid": RuleMutant(
        Judge,
        "_contradict",
        "own.raise_above(current.incarnation)",
        "own.raise_above(current.incarnation + 1)",
        believed.test_a_node_contradicts_with_the_next_incarnation_and_tells_it,
    ),
    "a contradiction is not told": RuleMutant(
        Judge,
        "_contradict",
        "parts.announce()",
        "pass",
        believed.test_a_node_contradicts_with_the_next_incarnation_and_tells_it,
    ),
    "incarnations are used before they are reserved": RuleMutant(
        OwnIncarnation,
        "raise_above",
        "if incarnation + 1 > self._reserved",
        "if False",
        believed.test_incarnations_are_not_used_before_they_are_reserved,
    ),
    "reservations are asked for when they are used up": RuleMutant(
        OwnIncarnation,
        "wanted_reservation",
        "RESERVED // 2",
        "0",
        believed.test_half_of_a_reservation_used_up_asks_for_the_next,
    ),
    "who left contradicts": RuleMutant(
        OwnIncarnation,
        "raise_above",
        "self._departure or",
        "",
        names.test_who_leaves_says_so_to_everybody_who_is_linked_and_is_not_brought_back,
    ),
    "anybody's word is this node's future": RuleMutant(
        Hearsay,
        "_hear_of_self",
        "if not is_own_word(descriptor, parts.signatures)",
        "if False",
        believed.test_a_future_that_this_node_did_not_sign_is_nothing,
    ),
    "alive needs no signature": RuleMutant(
        Hearsay,
        "_hear_of_member",
        "if not is_own_word(descriptor, parts.signatures)",
        "if False",
        believed.test_alive_that_its_subject_did_not_sign_names_who_brought_it,
    ),
    "left needs no signature": RuleMutant(
        Hearsay,
        "hear_departure",
        "if not is_departure(said, parts.signatures)",
        "if False",
        believed.test_a_departure_counts_as_its_subject_signed_it_alone,
    ),
    "who left comes back by an old word": RuleMutant(
        Hearsay,
        "_hear_of_member",
        "if member.departure is not None and descriptor.incarnation <= member.departure.incarnation",
        "if False",
        believed.test_who_left_does_not_come_back_by_what_it_signed_before,
    ),
    "a new incarnation leaves the suspicion": RuleMutant(
        Hearsay,
        "_renew",
        "self._parts.roster.turn(member, MemberState.ALIVE, now, Cause.CONTRADICTED)",
        "pass",
        believed.test_a_members_own_word_raises_its_incarnation_and_ends_its_suspicion,
    ),
    "everybody keeps another of two selves": RuleMutant(
        Hearsay,
        "_hear_of_member",
        "if descriptor.signature > known.signature",
        "if True",
        believed.test_two_descriptors_with_one_incarnation_name_their_subject_and_everybody_keeps_the_same,
    ),
    "descriptors have no budget": RuleMutant(
        Hearsay,
        "_hear_of_member",
        "parts.updates.charge(known.node_id, now)",
        "pass",
        believed.test_new_descriptors_of_one_subject_have_a_budget,
    ),
    "one member's word makes a member": RuleMutant(
        Hearsay,
        "vouch",
        "or rumour.sender == sender",
        "",
        names.test_a_name_that_one_member_brought_is_no_member_and_a_second_one_makes_it_one,
    ),
    "any descriptor is vouched for": RuleMutant(
        Hearsay,
        "vouch",
        "or not rumour.descriptor.signature.startswith(mark)",
        "",
        names.test_a_listing_vouches_as_well_but_not_of_another_descriptor,
    ),
    "another key is believed by hearsay": RuleMutant(
        Hearsay,
        "hear_alive",
        "elif member.descriptor.node_key == descriptor.node_key",
        "elif True",
        names.test_another_key_is_believed_by_a_link_alone_and_not_while_the_pinned_one_is_up,
    ),
    "another key is believed while the pinned one is up": RuleMutant(
        Hearsay,
        "_is_taken",
        "return not (silent and self._is_renewed(descriptor))",
        "return False",
        names.test_another_key_is_believed_by_a_link_alone_and_not_while_the_pinned_one_is_up,
    ),
    "a former key comes back": RuleMutant(
        Pins,
        "is_retired",
        "return key in self._retired.get(node_id, ())",
        "return False",
        names.test_another_key_is_believed_by_a_link_alone_and_not_while_the_pinned_one_is_up,
    ),
    "this node's name is anybody's": RuleMutant(
        Hearsay,
        "admits",
        "and node_id != parts.own.descriptor.node_id",
        "",
        believed.test_nobody_bears_this_nodes_own_name,
    ),
    "pins have no bound": RuleMutant(
        Pins,
        "pin",
        "while len(self._keys) > self._most",
        "while False",
        names.test_pins_outlive_members_and_are_bounded,
    ),
    "rumours have no bound": RuleMutant(
        Rumours,
        "room",
        "self._most - self._senders[sender]",
        "9999",
        names.test_what_one_sender_brings_is_bounded_and_dials_because_of_it_are_few,
    ),
    "rumours that fail cost nothing": RuleMutant(
        Rumours,
        "refuse",
        "self._failed.charge(rumour.sender, now)",
        "pass",
        names.test_what_one_sender_brings_is_bounded_and_dials_because_of_it_are_few,
    ),
    "an address has no backoff": RuleMutant(
        MemberLinks,
        "can_dial",
        "return now >= self._backoffs.get(address, (now, 0.0))[0]",
        "return True",
        names.test_one_address_is_dialled_once_in_its_backoff_whatever_names_are_there,
    ),
    "a name is checked at any time": RuleMutant(
        Rumours,
        "allows",
        "and now - self._checked.get(node_id, -self._recheck_s) >= self._recheck_s",
        "",
        names.test_a_name_is_checked_once_a_minute,
    ),
    "rumours are not checked": RuleMutant(
        Rounds,
        "_check_rumour",
        "self._parts.links.dial(rumour.descriptor)",
        "pass",
        names.test_a_rumour_is_checked_by_a_link_and_told_on_only_then,
    ),
    "the table has no bound": RuleMutant(
        Roster,
        "has_room",
        "if len(self._members) < self._params.max_members",
        "if True",
        names.test_the_table_is_bounded_and_the_longest_dead_make_room,
    ),
    "links have no bound": RuleMutant(
        MemberLinks,
        "stand",
        "while len(self._up) > self._params.max_links",
        "while False",
        names.test_links_are_bounded_and_the_least_used_goes_first,
    ),
    "links to targets are ended": RuleMutant(
        MemberLinks,
        "stand",
        "if name not in keep",
        "if True",
        names.test_links_are_bounded_and_the_least_used_goes_first,
    ),
    "what waits for a link has no bound": RuleMutant(
        MemberLinks,
        "send",
        "if len(waiting) < self._params.max_waiting",
        "if True",
        names.test_what_waits_for_a_link_is_bounded,
    ),
    "facts are told for ever": RuleMutant(
        Dissemination,
        "take",
        "if level + 1 < transmissions",
        "if level + 1 < 99",
        call(names.test_a_fact_is_told_lambda_log_n_times, 10, 4),
    ),
    "older facts stay": RuleMutant(
        Dissemination,
        "tell",
        "self.forget(subject)",
        "pass",
        names.test_the_least_told_facts_go_first_and_newer_ones_replace_older,
    ),
    "equal sums are compared": RuleMutant(
        AntiEntropy,
        "compare",
        "if mask",
        "if True",
        names.test_anti_entropy_lists_what_differs_asks_for_what_it_lacks_and_gives_what_the_other_lacks,
    ),
    "what the other lacks is kept": RuleMutant(
        AntiEntropy,
        "read",
        "if given",
        "if False",
        names.test_anti_entropy_lists_what_differs_asks_for_what_it_lacks_and_gives_what_the_other_lacks,
    ),
    "departures are not given": RuleMutant(
        AntiEntropy,
        "_lacking",
        "yield member.departure",
        "pass",
        names.test_who_lists_a_member_that_left_is_told_that_it_did,
    ),
    "the dead are not tried again": RuleMutant(
        Rounds,
        "_rescue_dead",
        "if dead",
        "if False",
        names.test_halves_that_buried_each_other_try_the_dead_again,
    ),
    "budgets do not refill": RuleMutant(
        TokenBucket,
        "peek",
        "(now - self._stamp) / self._refill_s",
        "0",
        names.test_budgets_refill_and_are_forgotten_when_full,
    ),
    "the unprobed are buried": RuleMutant(
        Prober,
        "end_suspicion",
        "self.probe(member, now, suspicion)",
        "self._judge.bury(member, now)",
        probes.test_nobody_is_buried_unprobed,
    ),
    "an answer leaves the suspicion": RuleMutant(
        Judge,
        "answered",
        "parts.suspicions.cancel(node_id)",
        "parts.suspicions.get(node_id); return",
        probes.test_nobody_is_buried_unprobed,
    ),
    "what was answered is heard again": RuleMutant(
        Suspicions,
        "cancel",
        "self._cancelled[subject] = suspicion",
        "pass",
        probes.test_an_answered_accusation_opens_nothing_again,
    ),
    "accusers that are not pinned count": RuleMutant(
        Suspicion,
        "add",
        "if pinned",
        "if True",
        probes.test_pinned_accusers_shorten_it_and_each_counts_once,
    ),
    "confirmations shorten nothing": RuleMutant(
        SwimParams,
        "suspicion_s",
        "return max(low, high - (high - low) * share)",
        "return high",
        probes.test_pinned_accusers_shorten_it_and_each_counts_once,
    ),
    "no helpers": RuleMutant(
        Prober,
        "_pick_helpers",
        "return found",
        "return []",
        probes.test_who_does_not_answer_is_asked_through_helpers_then_accused,
    ),
    "a helper's word is enough": RuleMutant(
        Prober,
        "receive_report",
        "if self._parts.signatures.verify(target.node_key, body, message.signature)",
        "if True",
        probes.test_a_helper_brings_a_signed_answer_or_none,
    ),
    "anybody answers a probe": RuleMutant(
        Prober,
        "receive_pong",
        "if probe.target != sender",
        "if False",
        probes.test_nobody_who_was_not_asked_answers_for_another,
    ),
    "a liar is named each time": RuleMutant(
        SwimParts,
        "name_liar",
        'self.naming.take(NodeId(f"{node_id} {lie.name}"), now)',
        "True",
        believed.test_a_liar_is_named_once_in_a_while,
    ),
    "late answers are none": RuleMutant(
        Prober,
        "receive_pong",
        "return self._failed.pop(message.seq, None) == sender",
        "return False",
        probes.test_an_answer_that_comes_late_is_an_answer,
    ),
    "the last probe has no patience": RuleMutant(
        Prober,
        "_patience",
        "self._parts.params.burial_periods if decides else 1.0",
        "1.0",
        probes.test_who_is_silent_is_dead_after_its_suspicion_and_a_probe_of_this_nodes_own,
    ),
    "health stretches what is contested": RuleMutant(
        Prober,
        "_pace_s",
        "self._parts.params.period_s if member.contested else self.period_s",
        "self.period_s",
        call(probes.test_who_is_silent_and_contested_is_dead_as_if_all_had_confirmed, PARAMS.max_health, None),
    ),
    "a contest shortens nothing": RuleMutant(
        Suspicion,
        "deadline",
        "if self.contested",
        "if False",
        call(probes.test_who_is_silent_and_contested_is_dead_as_if_all_had_confirmed, 0, MemberState.SUSPECT),
    ),
    "timers are set for what is over": RuleMutant(
        Judge,
        "_schedule",
        "max(now, deadline)",
        "deadline",
        probes.test_confirmations_that_leave_a_suspicion_no_time_are_no_pause,
    ),
    "a contest is no reason to look": RuleMutant(
        Swim,
        "link_up",
        "self._contest(descriptor, now)",
        "pass",
        call(probes.test_who_is_silent_and_contested_is_dead_as_if_all_had_confirmed, 0, None),
    ),
    "a contest shortens no last probe": RuleMutant(
        Prober,
        "probe_contested",
        "if end_at < probe.end_at",
        "if False",
        probes.test_a_last_probe_is_shortened_once_another_key_proves_the_name,
    ),
    "a contest is never over": RuleMutant(
        Judge,
        "answered",
        "member.answer()",
        "pass",
        probes.test_who_answers_after_its_name_was_contested_has_its_whole_time_again,
    ),
    "renewals wait for a burial": RuleMutant(
        Hearsay,
        "_is_taken",
        "not (silent and self._is_renewed(descriptor))",
        "True",
        names.test_a_renewed_key_is_taken_as_soon_as_the_former_one_is_found_silent_and_the_former_one_never_again,
    ),
    "others find who renewed silent": RuleMutant(
        Hearsay,
        "_is_taken",
        "and parts.own.descriptor.node_id in suspicion.accusers",
        "",
        names.test_a_renewed_key_is_taken_as_soon_as_the_former_one_is_found_silent_and_the_former_one_never_again,
    ),
    "renewed keys come back": RuleMutant(
        Pins,
        "pin",
        "*renewed, ",
        "",
        call(names.test_a_key_that_was_renewed_before_this_node_met_the_name_never_comes_back_either, False),
    ),
    "renewals that were taken out stay out": RuleMutant(
        Hearsay,
        "meet",
        "elif descriptor.renewals != member.descriptor.renewals:",
        "elif False:",
        names.test_who_passes_a_descriptor_on_without_its_renewals_hides_none_from_who_meets_its_node,
    ),
    "former keys contest": RuleMutant(
        Judge,
        "contest",
        "or parts.pins.is_retired(node_id, descriptor.node_key)",
        "",
        probes.test_a_former_key_of_a_name_has_nobody_looked_at,
    ),
    "pauses restart no probe": RuleMutant(
        Swim,
        "handle_timer",
        "self._prober.restart(now)",
        "pass",
        probes.test_a_pause_ends_no_probe_that_was_under_way,
    ),
    "pauses shift no suspicion": RuleMutant(
        Swim,
        "handle_timer",
        "self._parts.suspicions.shift(away)",
        "pass",
        probes.test_a_pause_of_this_process_restarts_its_probes_and_shifts_its_suspicions,
    ),
    "a sleep of the machine is no pause": RuleMutant(
        Pauses,
        "measure",
        "max(now - due, slept)",
        "now - due",
        probes.test_a_pause_of_this_process_restarts_its_probes_and_shifts_its_suspicions,
    ),
    "health never falls": RuleMutant(
        Prober,
        "_fail",
        "parts.health.change(len(probe.asked - probe.heard) if probe.asked else 1)",
        "pass",
        probes.test_local_health_falls_by_silence_that_no_helper_explains_and_stretches_the_period,
    ),
    "health falls by the silence of others": RuleMutant(
        Prober,
        "_fail",
        "len(probe.asked - probe.heard)",
        "len(probe.asked)",
        probes.test_helpers_that_say_they_have_no_answer_leave_health_as_it_is,
    ),
    "a hung disk is health": RuleMutant(
        LocalHealth,
        "judge_commit",
        "age_s > bound_s",
        "False",
        probes.test_a_disk_that_hangs_takes_health_and_readiness_away,
    ),
    "errands have no budget": RuleMutant(
        Errands,
        "take",
        "if not self._requests.take(name, now)",
        "if False",
        probes.test_questions_and_signatures_of_one_member_have_a_budget,
    ),
    "signatures have no budget": RuleMutant(
        Errands,
        "answer",
        "if not self._answers.take(name, now)",
        "if False",
        probes.test_questions_and_signatures_of_one_member_have_a_budget,
    ),
    "helpers are silent when the target is": RuleMutant(
        Errands,
        "fire",
        "self._parts.links.send(asker.descriptor, PingReport(errand.seq))",
        "pass",
        probes.test_no_answer_is_told_in_time,
    ),
    "targets are probed in no order": RuleMutant(
        ProbeRings,
        "next_target",
        "while self._round:",
        "self._round = sorted(targets)\n    while self._round:",
        probes.test_every_target_is_probed_once_before_any_is_again,
    ),
    "rings keep those that are down": RuleMutant(
        Roster,
        "_go_down",
        "self._rings.remove",
        "(lambda *_: None)",
        probes.test_a_ring_without_its_member_has_the_one_after_it,
    ),
    "the accused are not told": RuleMutant(
        SwimParts,
        "compose",
        "[: self.params.confirmations]",
        "[:0]",
        probes.test_who_is_dead_here_and_answers_is_alive_and_told_what_to_contradict,
    ),
    "strangers are heard": RuleMutant(
        Swim,
        "receive",
        "or sender not in self._parts.links",
        "",
        believed.test_what_comes_over_no_link_is_not_looked_at,
    ),
}


def take_out(mutant: RuleMutant, monkeypatch: pytest.MonkeyPatch) -> None:
    held = inspect.getattr_static(mutant.of, mutant.method)
    source = textwrap.dedent(inspect.getsource(held))
    assert mutant.line in source, "the rule is written otherwise now"
    room: dict[str, Any] = {}
    code = source.replace(mutant.line, mutant.instead)
    exec(compile(code, "mutant", "exec"), vars(sys.modules[mutant.of.__module__]), room)  # noqa: S102 - our own source
    monkeypatch.setattr(mutant.of, mutant.method, room[mutant.method])


@pytest.mark.parametrize("name", MUTANTS)
def test_a_rule_that_is_taken_out_is_missed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    take_out(MUTANTS[name], monkeypatch)
    with pytest.raises(AssertionError):
        MUTANTS[name].notices()
