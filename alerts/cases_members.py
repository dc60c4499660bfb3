"""Tests of `alerts.members`."""

from __future__ import annotations

from alerts.cases import POD, At, Case, Firing, M, never
from alerts.cases_mesh import alive

UNREACHED = f'hermes_mesh_members_unreached{{{M},pod="a-0"}}'
HEALTH = f'hermes_mesh_local_health{{{M},pod="a-0"}}'
REFUTATIONS = f'hermes_mesh_refutations_total{{{M},pod="a-0"}}'


def lies(lie: str, pod: str) -> str:
    return f'hermes_mesh_lies_total{{{M},pod="{pod}",lie="{lie}"}}'


def look_ups(result: str) -> str:
    return f'hermes_mesh_look_ups_total{{{M},pod="a-0",result="{result}"}}'


def _apart(members: int) -> Firing:
    text = f"chat/a-0 does not reach {members} members that others reach: chats between them need a third node."
    return Firing("warning", text, POD)


APART = (
    Case(
        "fires when a pair is apart for ten minutes, and resolves",
        "HermesMembersApart",
        {UNREACHED: "0x4 1x14 0x20", f'hermes_mesh_members_unreached{{{M},pod="a-1"}}': "0x40"},
        (At("12m"), At("17m", (_apart(1),)), At("23m")),
    ),
    Case("says how many", "HermesMembersApart", {UNREACHED: "3x40"}, (At("13m", (_apart(3),)),)),
    never(
        "what was found once is forgotten after five minutes",
        "HermesMembersApart",
        {UNREACHED: "0x4 1x5 0x30"},
        "8m",
        "17m",
        "30m",
    ),
    never("all reach all", "HermesMembersApart", {UNREACHED: "0x40"}, "17m", "30m"),
)


def _slow(health: str) -> Firing:
    text = f"chat/a-0 had a local health of {health} of 8 for 15 minutes: it is the slow one, not those it waits for."
    return Firing("warning", text, POD)


SLOW = (
    Case(
        "fires when one is slow for twenty minutes, and resolves",
        "HermesMemberSlow",
        {HEALTH: "4x40 0x40", alive("a-0"): "3x80"},
        (At("3m"), At("25m", (_slow("4.00"),)), At("60m")),
    ),
    never(
        "it is slow for two minutes", "HermesMemberSlow", {HEALTH: "0x20 8x2 0x30", alive("a-0"): "3x60"}, "24m", "30m", "40m"
    ),
    never("it is a little late at times", "HermesMemberSlow", {HEALTH: "1x60", alive("a-0"): "3x60"}, "25m", "50m"),
    never("nobody else is there", "HermesMemberSlow", {HEALTH: "5x60", alive("a-0"): "1x60"}, "25m", "50m"),
    Case("of two", "HermesMemberSlow", {HEALTH: "8x60", alive("a-0"): "2x60"}, (At("25m", (_slow("8.00"),)),)),
)


def _flaps(times: int) -> Firing:
    return Firing("warning", f"Others called chat/a-0 dead {times} times in 15 minutes, and it contradicted each time.", POD)


FLAPPING = (
    Case(
        "fires when one contradicts three times a minute, and resolves",
        "HermesMemberFlapping",
        {REFUTATIONS: "0x4 0+3x40 120x40"},
        (At("6m"), At("13m"), At("30m", (_flaps(45),)), At("70m")),
    ),
    never("once a minute", "HermesMemberFlapping", {REFUTATIONS: "0+1x60"}, "30m", "50m"),
    never("a pause of some seconds", "HermesMemberFlapping", {REFUTATIONS: "0x10 3x60"}, "13m", "20m", "40m"),
)


def _lie(count: int, lie: str) -> Firing:
    text = f"Nodes of mesh chat/a named a member {count} times: {lie}. Their logs have its name."
    return Firing("warning", text, {"namespace": "chat", "mesh": "a", "lie": lie})


LIES = (
    Case(
        "fires at the first naming, and for an hour after the last",
        "HermesMemberLies",
        {lies("signature", "a-0"): "0x29 1x160", lies("signature", "a-1"): "0x29 1x160", lies("two_selves", "a-0"): "0x190"},
        (At("27m"), At("35m", (_lie(2, "signature"),)), At("90m", (_lie(2, "signature"),)), At("120m")),
    ),
    Case(
        "fires when a node names one before its first scrape",
        "HermesMemberLies",
        {lies("two_selves", "a-0"): "_x9 1x60"},
        (At("12m", (_lie(1, "two_selves"),)),),
    ),
    never("nobody lies", "HermesMemberLies", {lies("signature", "a-0"): "0x60"}, "12m", "40m"),
)


def _unfound(share: str) -> Firing:
    return Firing("warning", f"{share} of the look-ups of apps in mesh chat/a get no answer: calls to those apps fail.")


LOOK_UPS = (
    Case(
        "fires when a tenth gets no answer, and resolves",
        "HermesLookUpsFailing",
        {look_ups("unanswered"): "0x4 0+60x30 1800x30", look_ups("found"): "0x4 0+540x30 16200+600x30"},
        (At("8m"), At("25m", (_unfound("10%"),)), At("50m")),
    ),
    never(
        "one in fifty",
        "HermesLookUpsFailing",
        {look_ups("unanswered"): "0+60x60", look_ups("found"): "0+2940x60"},
        "25m",
        "50m",
    ),
    never(
        "few look-ups at all",
        "HermesLookUpsFailing",
        {look_ups("unanswered"): "0+3x60", look_ups("found"): "0+3x60"},
        "25m",
        "50m",
    ),
    Case(
        "few, and more than a few",
        "HermesLookUpsFailing",
        {look_ups("unanswered"): "0+12x60", look_ups("found"): "0+48x60"},
        (At("25m", (_unfound("20%"),)),),
    ),
    never(
        "apps that are away, or that nobody knows, are answers",
        "HermesLookUpsFailing",
        {look_ups("away"): "0+60x60", look_ups("unknown"): "0+60x60", look_ups("unanswered"): "0x60"},
        "25m",
        "50m",
    ),
)

CASES = (*APART, *SLOW, *FLAPPING, *LIES, *LOOK_UPS)
