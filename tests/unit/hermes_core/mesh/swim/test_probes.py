"""Probes, suspicions and burials: who does not answer, whose word shortens what, and that nobody is buried unprobed."""

from __future__ import annotations

import pytest

from hermes_core.ids import NodeId
from hermes_core.mesh.messages import MemberState
from hermes_core.mesh.swim.messages import Accusation, Alive, Ping, PingReport, PingRequest, Pong
from hermes_core.mesh.swim.output import Cause, ProbeResult, StandingChanged
from hermes_core.mesh.swim.statements import encode_answer
from tests.unit.hermes_core.mesh.swim.bench import PARAMS, Bench, Other

PERIOD = PARAMS.period_s
LOW = PARAMS.suspicion_s(10, PARAMS.confirmations)
HIGH = PARAMS.suspicion_s(10, 0)


def report_helpless(bench: Bench) -> None:
    """Helpers answer at once that they have no answer."""
    for send in list(bench.output.sends):
        if isinstance(send.message, PingRequest):
            bench.n.receive(send.node_id, PingReport(send.message.seq), bench.now)
    bench.take()
    bench.clear_sends()


def test_every_target_is_probed_once_before_any_is_again() -> None:
    bench = Bench(met=5)
    bench.clear()
    targets = bench.n.roster.rings.targets
    bench.tick(len(targets) * PERIOD, bench.answer_all)
    probed = [send.node_id for send in bench.output.sends if isinstance(send.message, Ping)]
    assert sorted(probed) == sorted(targets)


def test_every_member_is_somebodys_target() -> None:
    names = [Other(f"m-{index}") for index in range(40)]
    watched: set[str] = set()
    for me in names[:]:
        bench = Bench(met=0)
        bench.n.roster.rings.__init__(me.name, lambda _names: None)  # type: ignore[misc]
        for other in names:
            if other is not me:
                bench.n.roster.rings.add(other.name)
        watched |= bench.n.roster.rings.targets
    assert watched == {other.name for other in names}


def test_a_ring_without_its_member_has_the_one_after_it() -> None:
    bench = Bench(met=30)
    rings = bench.n.roster.rings
    gone = min(rings.targets)
    rest = [other for other in bench.others if other.name != gone]
    bench.n.roster.turn(bench.n.roster.get(gone), MemberState.DEAD, 0.0, Cause.UNANSWERED)  # type: ignore[arg-type]
    fresh = Bench(met=0)
    for other in rest:
        fresh.n.roster.rings.add(other.name)
    assert rings.targets == fresh.n.roster.rings.targets


def test_who_does_not_answer_is_asked_through_helpers_then_accused() -> None:
    bench = Bench(met=5)
    silent = bench.others[0]
    bench.silent = {silent.name}
    bench.tick(12 * PERIOD, bench.answer_all)
    requests = bench.messages(PingRequest)
    assert {request.target for request in requests} == {silent.name}
    assert len(requests) >= PARAMS.helpers
    own = [a for m in bench.messages(Ping) for a in m.facts if isinstance(a, Accusation)]
    assert {(a.subject, a.accuser) for a in own} == {(silent.name, "me")}
    assert bench.state(silent) is MemberState.SUSPECT


def test_a_helper_brings_a_signed_answer_or_none() -> None:
    for honest in (True, False):
        bench = Bench(met=5)
        silent = bench.others[0]
        bench.silent = {silent.name}
        while not bench.messages(PingRequest):
            bench.tick(bench.now + PERIOD / 10, bench.answer_all)
        send = next(s for s in bench.output.sends if isinstance(s.message, PingRequest))
        request = send.message
        assert isinstance(request, PingRequest)
        signer = silent if honest else bench.others[1]
        signature = signer.identity.sign(encode_answer(silent.name, silent.descriptor.node_key, "me", request.nonce))
        bench.n.receive(send.node_id, PingReport(request.seq, signature), bench.now)
        bench.take()
        assert bench.lies() == [], "it brings what it got: the target may have another key there"
        bench.tick(bench.now + PERIOD, lambda _output: None)
        assert (bench.state(silent) is MemberState.ALIVE) is honest


def test_what_becomes_of_a_probe_is_said_with_the_helper_that_it_took() -> None:
    bench = Bench(met=5)
    cut_off, gone, *helpers = bench.others
    bench.silent = {cut_off.name, gone.name}
    for other in (cut_off, gone, helpers[0]):
        bench.n.look_at(other.name, bench.now)
        bench.n.look_at(other.name, bench.now)
    bench.take()
    bench.answer_all(bench.output)
    assert ended(bench, helpers[0]) == [(ProbeResult.DIRECT, None)]
    while not bench.messages(PingRequest):
        bench.tick(bench.now + PERIOD / 10, bench.answer_all)
    for send in list(bench.output.sends):
        if isinstance(send.message, PingRequest) and send.message.target == cut_off.name and send.node_id != gone.name:
            body = encode_answer(cut_off.name, cut_off.descriptor.node_key, "me", send.message.nonce)
            signature = cut_off.identity.sign(body)
            bench.n.receive(send.node_id, PingReport(send.message.seq, signature), bench.now)
    bench.take()
    ((result, helper),) = ended(bench, cut_off)
    assert result is ProbeResult.INDIRECT, "and only the first answer is one"
    assert helper in {other.name for other in helpers}
    bench.tick(bench.now + PERIOD, bench.answer_all)
    assert (ProbeResult.FAILED, None) in ended(bench, gone)


def ended(bench: Bench, other: Other) -> list[tuple[ProbeResult, NodeId | None]]:
    return [(probe.result, probe.helper) for probe in bench.output.probes if probe.node_id == other.name]


def test_a_name_is_pinned_to_the_key_of_its_link_alone() -> None:
    bench = Bench(met=5)
    met, other = bench.others[0], Other(bench.others[0].name)
    assert bench.n.is_pinned(met.descriptor)
    assert not bench.n.is_pinned(other.descriptor)
    assert not bench.n.is_pinned(Other("stranger").descriptor)


def test_nobody_who_was_not_asked_answers_for_another() -> None:
    bench = Bench(met=5)
    silent = bench.others[0]
    bench.silent = {silent.name}
    while not bench.messages(PingRequest):
        bench.tick(bench.now + PERIOD / 10, bench.answer_all)
    seq = bench.messages(PingRequest)[0].seq
    bench.n.receive(bench.others[1].name, Pong(seq), bench.now)
    bench.tick(bench.now + 2 * PERIOD, lambda _output: None)
    assert bench.state(silent) is MemberState.SUSPECT


def test_an_unconfirmed_suspicion_stands_long_and_each_confirmation_shortens_it() -> None:
    times = [PARAMS.suspicion_s(10, confirmed) for confirmed in range(PARAMS.confirmations + 1)]
    assert times == sorted(times, reverse=True)
    assert times[0] == HIGH == PARAMS.suspicion_max * LOW
    assert times[-1] == LOW == PARAMS.suspicion_min * PERIOD
    assert PARAMS.suspicion_s(1000, 3) == pytest.approx(3 * LOW)


def test_no_more_confirmations_are_waited_for_than_members_could_make() -> None:
    """Of two members nobody can confirm what one says of the other, of three one can."""
    assert PARAMS.suspicion_s(2, 0) == PARAMS.suspicion_s(1, 0) == LOW
    assert PARAMS.suspicion_s(3, 0) == HIGH
    assert PARAMS.suspicion_s(3, 1) == LOW
    assert LOW < PARAMS.suspicion_s(5, 2) < PARAMS.suspicion_s(5, 1)
    assert PARAMS.suspicion_s(5, 3) == PARAMS.suspicion_s(6, 3) == LOW


def burial_time(bench: Bench, silent: Other) -> float:
    bench.silent = {silent.name}
    while bench.state(silent) is not MemberState.DEAD:
        bench.tick(bench.now + PERIOD / 10, bench.answer_all)
        report_helpless(bench)
        assert bench.now < 3 * HIGH
    return bench.now


def test_pinned_accusers_shorten_it_and_each_counts_once() -> None:
    alone, confirmed, repeated, unpinned = Bench(met=8), Bench(met=8), Bench(met=8), Bench(met=8)
    for bench in (alone, confirmed, repeated, unpinned):
        silent, first, *more = bench.others
        bench.silent = {silent.name}
        if bench is alone:
            bench.hear(first, first.accuse(silent.descriptor))
        elif bench is confirmed:
            for accuser in (first, *more[:3]):
                bench.hear(accuser, accuser.accuse(silent.descriptor))
        elif bench is repeated:
            for _ in range(4):
                bench.hear(first, first.accuse(silent.descriptor))
        else:
            for index in range(4):
                rumoured = Other(f"rumoured-{index}")
                bench.n.roster.admit(rumoured.descriptor, 0.0)
                bench.hear(first, rumoured.accuse(silent.descriptor))
    deadlines = [
        bench.n.parts.suspicions.get(bench.others[0].name).deadline(PARAMS, 10)  # type: ignore[union-attr]
        for bench in (alone, confirmed, repeated, unpinned)
    ]
    assert deadlines == [HIGH, LOW, HIGH, HIGH]


def test_nobody_is_buried_unprobed() -> None:
    bench = Bench(met=8)
    victim, *accusers = bench.others
    for accuser in accusers[:4]:
        bench.hear(accuser, accuser.accuse(victim.descriptor))
    bench.silent = {victim.name}
    while bench.now < LOW - PERIOD / 10:
        bench.tick(bench.now + PERIOD / 10, bench.answer_all)
        report_helpless(bench)
    states = [bench.state(victim)]
    assert states == [MemberState.SUSPECT]
    bench.silent = set()
    while bench.now < LOW + 3 * PERIOD:
        bench.tick(bench.now + PERIOD / 10, bench.answer_all)
        states.append(bench.state(victim))
    assert MemberState.DEAD not in states
    assert states[-1] is MemberState.ALIVE


def test_who_is_silent_is_dead_after_its_suspicion_and_a_probe_of_this_nodes_own() -> None:
    bench = Bench(met=8)
    silent, *accusers = bench.others
    for accuser in accusers[:4]:
        bench.hear(accuser, accuser.accuse(silent.descriptor))
    before = len(bench.messages(Ping, to=silent))
    assert LOW + PARAMS.burial_periods * PERIOD <= burial_time(bench, silent) <= LOW + (2 + PARAMS.burial_periods) * PERIOD
    assert before


@pytest.mark.parametrize("ill", [0, PARAMS.max_health])
@pytest.mark.parametrize("until", [None, MemberState.SUSPECT])
def test_who_is_silent_and_contested_is_dead_as_if_all_had_confirmed(ill: int, until: MemberState | None) -> None:
    bench = Bench(met=8)
    silent = bench.others[0]
    bench.silent = {silent.name}
    bench.n.parts.health.change(ill)
    while until is not None and bench.state(silent) is not until:
        bench.tick(bench.now + PERIOD / 10, bench.answer_all)
        report_helpless(bench)
    bench.clear()
    began = bench.now
    assert not bench.link(Other(str(silent.name)))
    assert until or bench.messages(Ping, to=silent), "it is looked at at once"
    bench.n.parts.health.change(ill)
    assert burial_time(bench, silent) - began <= LOW + (2 + PARAMS.burial_periods) * PERIOD


def test_a_last_probe_is_shortened_once_another_key_proves_the_name() -> None:
    bench = Bench(met=8)
    silent, *accusers = bench.others
    for accuser in accusers[:4]:
        bench.hear(accuser, accuser.accuse(silent.descriptor))
    bench.silent = {silent.name}
    while bench.now < LOW + PERIOD:
        bench.tick(bench.now + PERIOD / 10, bench.answer_all)
        report_helpless(bench)
        bench.n.parts.health.change(PARAMS.max_health if bench.now > LOW - PERIOD / 5 else 0)
    began = bench.now
    for _ in range(3):
        assert not bench.link(Other(str(silent.name)))
    assert burial_time(bench, silent) - began <= (1 + PARAMS.burial_periods) * PERIOD


def test_who_answers_after_its_name_was_contested_has_its_whole_time_again() -> None:
    bench = Bench(met=8)
    known, first, *_ = bench.others
    assert not bench.link(Other(str(known.name)))
    bench.answer_all(bench.output)
    assert bench.state(known) is MemberState.ALIVE
    bench.hear(first, first.accuse(known.descriptor))
    assert bench.n.parts.suspicions.get(known.name).deadline(PARAMS, 10) == bench.now + HIGH  # type: ignore[union-attr]


def test_a_former_key_of_a_name_has_nobody_looked_at() -> None:
    bench = Bench(met=8)
    former = bench.others[0]
    bench.n.roster.turn(bench.n.roster.get(former.name), MemberState.DEAD, 0.0, Cause.UNANSWERED)  # type: ignore[arg-type]
    heir = Other(str(former.name))
    assert bench.link(heir)
    bench.clear()
    assert not bench.link(former)
    assert not bench.messages(Ping, to=former)


def test_an_answer_that_comes_late_is_an_answer() -> None:
    bench = Bench(met=8)
    silent = bench.others[0]
    bench.silent = {silent.name}
    while bench.state(silent) is MemberState.ALIVE:
        bench.tick(bench.now + PERIOD / 10, bench.answer_all)
    for ping in bench.messages(Ping, to=silent):
        bench.receive(silent, Pong(ping.seq))
    assert bench.state(silent) is MemberState.ALIVE


def test_who_is_dead_here_and_answers_is_alive_and_told_what_to_contradict() -> None:
    bench = Bench(met=8)
    silent, *accusers = bench.others
    said = accusers[0].accuse(silent.descriptor)
    bench.hear(accusers[0], said)
    burial_time(bench, silent)
    bench.silent = set()
    bench.n.link_down(silent.name)
    bench.link(silent)
    assert bench.state(silent) is MemberState.ALIVE
    bench.clear()
    bench.receive(silent, Ping(1))
    assert said in bench.messages(Pong, to=silent)[0].facts


def test_a_pause_of_this_process_restarts_its_probes_and_shifts_its_suspicions() -> None:
    for boot in (0.0, 20.0):  # the process stood still; the machine slept
        bench = Bench(met=8)
        silent, *accusers = bench.others
        for accuser in accusers[:4]:
            bench.hear(accuser, accuser.accuse(silent.descriptor))
        bench.clear()
        bench.now += 0.0 if boot else 20.0
        bench.n.handle_timer(max(bench.now, bench.n.next_timer()), max(bench.now, bench.n.next_timer()) + boot)
        bench.take()
        assert bench.state(silent) is MemberState.SUSPECT
        assert bench.messages(Ping, to=silent)
        assert bench.n.parts.suspicions.get(silent.name).deadline(PARAMS, 1) >= 20.0 + LOW - PERIOD  # type: ignore[union-attr]


def test_confirmations_that_leave_a_suspicion_no_time_are_no_pause() -> None:
    """A timer that is set for what is over looked like one that came late, and every suspicion stood for longer by that."""
    bench = Bench(met=8)
    silent, other, *accusers = bench.others
    bench.silent = {silent.name, other.name}
    for subject in (silent, other):
        bench.hear(accusers[0], accusers[0].accuse(subject.descriptor))
    while bench.now < LOW + 3 * PERIOD:
        bench.tick(bench.now + PERIOD / 10, bench.answer_all)
        report_helpless(bench)
    suspicion = bench.n.parts.suspicions.get(other.name)
    assert suspicion is not None
    before = suspicion.deadline(PARAMS, 10)
    for accuser in accusers[1:4]:
        bench.hear(accuser, accuser.accuse(silent.descriptor))
    bench.n.handle_timer(bench.now, bench.now)
    assert suspicion.deadline(PARAMS, 10) == before


def test_local_health_falls_by_silence_that_no_helper_explains_and_stretches_the_period() -> None:
    bench = Bench(met=5)
    bench.silent = {other.name for other in bench.others}
    bench.tick(10 * PERIOD, bench.answer_all)
    assert bench.n.parts.health.factor > 1
    bench.silent = set()
    bench.tick(bench.now + 60 * PERIOD, bench.answer_all)
    assert bench.n.parts.health.factor == 1


def test_helpers_that_say_they_have_no_answer_leave_health_as_it_is() -> None:
    bench = Bench(met=8)
    bench.silent = {bench.others[0].name}
    factors = set()
    for _ in range(100):
        bench.tick(bench.now + PERIOD / 10, bench.answer_all)
        report_helpless(bench)
        factors.add(bench.n.parts.health.factor)
    assert factors == {1}


def test_a_disk_that_hangs_takes_health_and_readiness_away() -> None:
    bench = Bench()
    ready = []
    for late_s in (0.0, 0.1):
        bench.n.judge_commit(PARAMS.stale_commit_s + late_s)
        ready.append(bench.n.is_ready)
    assert ready == [True, False]
    assert bench.n.parts.health.factor == 1 + PARAMS.max_health


def test_a_question_is_carried_and_the_answer_brought_back_as_it_is() -> None:
    bench = Bench()
    asker, target, _ = bench.others
    bench.clear()
    bench.receive(asker, PingRequest(77, target.name, bytes(16)))
    [ping] = bench.messages(Ping, to=target)
    assert (ping.nonce, ping.asker) == (bytes(16), asker.name)
    bench.receive(target, Pong(ping.seq, b"s" * 64))
    assert bench.messages(PingReport, to=asker) == [PingReport(77, b"s" * 64)]


def test_no_answer_is_told_in_time() -> None:
    bench = Bench()
    asker, target, _ = bench.others
    bench.receive(asker, PingRequest(77, target.name, bytes(16)))
    bench.tick(PARAMS.nack_share * PERIOD)
    assert bench.messages(PingReport, to=asker) == [PingReport(77)]


def test_questions_and_signatures_of_one_member_have_a_budget() -> None:
    bench = Bench()
    asker, target, _ = bench.others
    bench.clear()
    for seq in range(40):
        bench.receive(asker, PingRequest(seq, target.name, bytes(16)))
        bench.receive(asker, Ping(seq, bytes(16), "somebody"))
    assert len(bench.messages(Ping, to=target)) == PARAMS.requests_a_sender
    assert len([m for m in bench.messages(Pong, to=asker) if m.signature]) == PARAMS.requests_a_sender
    assert bench.n.errands.refused_requests > 0
    assert bench.n.errands.refused_answers > 0


def test_an_answered_accusation_opens_nothing_again() -> None:
    bench = Bench(met=4)
    a, b, *_ = bench.others
    said = a.accuse(b.descriptor)
    bench.hear(a, said)
    bench.answer_all(bench.output)
    states = [bench.state(b)]
    later = a.accuse(b.descriptor, accuser_incarnation=2)
    for fact in (said, later, bench.others[2].accuse(b.descriptor)):
        bench.hear(a, fact)
        states.append(bench.state(b))
    assert states == [*3 * [MemberState.ALIVE], MemberState.SUSPECT]


def test_a_pause_ends_no_probe_that_was_under_way() -> None:
    bench = Bench(met=5)
    bench.clear()
    while not bench.messages(Ping):
        bench.tick(bench.n.next_timer())
    target = next(s.node_id for s in bench.output.sends if isinstance(s.message, Ping))
    for _ in range(5):  # this process runs for a moment only, and stands still again
        bench.now += 5 * PERIOD
        bench.n.handle_timer(bench.now, bench.now)
        bench.take()
    member = bench.n.roster.get(target)
    assert member is not None
    assert member.state is MemberState.ALIVE


def test_each_probe_ends_once_and_says_how_and_after_what_time() -> None:
    bench = Bench(met=5)
    bench.tick(3 * PERIOD, bench.answer_all)
    assert {(probe.result, probe.seconds) for probe in bench.output.probes} == {(ProbeResult.DIRECT, 0.0)}
    silent = bench.others[0]
    bench.silent = {silent.name}
    bench.clear()
    bench.tick(bench.now + 12 * PERIOD, bench.answer_all)
    failed = [probe for probe in bench.output.probes if probe.node_id == silent.name]
    assert {probe.result for probe in failed} == {ProbeResult.FAILED}
    assert all(probe.seconds >= PERIOD for probe in failed)


def test_a_member_that_answers_helpers_alone_is_told_from_one_that_answers() -> None:
    bench = Bench(met=5)
    silent = bench.others[0]
    bench.silent = {silent.name}
    while not bench.messages(PingRequest):
        bench.tick(bench.now + PERIOD / 10, bench.answer_all)
    bench.output.probes.clear()
    send = next(s for s in bench.output.sends if isinstance(s.message, PingRequest))
    request = send.message
    assert isinstance(request, PingRequest)
    signature = silent.identity.sign(encode_answer(silent.name, silent.descriptor.node_key, "me", request.nonce))
    bench.n.receive(send.node_id, PingReport(request.seq, signature), bench.now)
    bench.take()
    (probe,) = bench.output.probes
    assert (probe.node_id, probe.result) == (silent.name, ProbeResult.INDIRECT)
    assert PERIOD * PARAMS.direct_share <= probe.seconds < PERIOD


def test_a_change_of_standing_says_why() -> None:
    bench = Bench(met=4)
    one, two, three, four = bench.others

    def say(other: Other) -> list[tuple[Cause, NodeId | None]]:
        told = [(event.cause, event.accuser) for event in bench.events(StandingChanged) if event.node_id == other.name]
        bench.clear()
        return told

    assert say(one) == [(Cause.NEW, None)]
    bench.hear(two, two.accuse(one.descriptor))
    bench.hear(one, Alive(one.describe(2)))
    assert say(one) == [(Cause.ACCUSED, two.name), (Cause.CONTRADICTED, None)]
    bench.hear(two, two.accuse(three.descriptor))
    bench.tick(bench.now + PERIOD, bench.answer_all)
    assert say(three) == [(Cause.ACCUSED, two.name), (Cause.ANSWERED, None)]
    bench.silent = {four.name}
    bench.tick(bench.now + 2 * HIGH, bench.answer_all)
    assert say(four) == [(Cause.SILENT, bench.me.name), (Cause.UNANSWERED, None)]
    bench.hear(two, three.depart())
    assert say(three) == [(Cause.DEPARTED, None)]
