"""docs/reference/hop-states.md: the states of a hop, drawn from the table the node runs on."""

from __future__ import annotations

import sys

from hermes_core.relay.hop_states import TRANSITIONS, HopInput, HopState
from tools.generated_files import Files, run

PAGE = "docs/reference/hop-states.md"

_HEAD = """# States of a hop

Made by `python -m tools.generate_hop_states` from `node/hermes_core/relay/hop_states.py`.

A chat on a node has two hops, each towards an app or another node. A hop is in one of these states; `ONWARD` in its name says
that the node behind a tieline has told of a path to its app. What each neighbour was last told of its own path stands in the
chat's row (`node/hermes_core/relay/rows.py`), and is made true when output is taken.

| state | frames may flow | our claims wait for an answer | only new keys help | path onward |
| --- | --- | --- | --- | --- |
"""

_INPUTS = """
| input | what happened |
| --- | --- |
| CLAIM | our claims go out on a new stream |
| GIVE_UP_CLAIM | the answer is not waited for any longer |
| RESUME | the neighbour's claims fit ours |
| NEW_EPOCH | new keys were agreed on this stream |
| QUARANTINE | a store was rolled back |
| LOSE | the stream is gone |
| ONWARD_UP, ONWARD_DOWN | the node behind a tieline says whether it reaches its app |

What each input makes of each state; where nothing stands, the input is a defect and is told as one.

"""


def render() -> Files:
    states = "".join(_describe(state) for state in HopState)
    inputs = list(HopInput)
    table = f"| | {' | '.join(given.name for given in inputs)} |\n|{' --- |' * (len(inputs) + 1)}\n"
    for state in HopState:
        cells = [_show(state, given) for given in inputs]
        table += f"| **{state.name}** | {' | '.join(cells)} |\n"
    return {PAGE: _HEAD + states + _INPUTS + table + "\n" + _draw()}


def _describe(state: HopState) -> str:
    marks = ("yes" if mark else "" for mark in (state.ready, state.claimed, state.quarantined, state.onward))
    return f"| {state.name} | {' | '.join(marks)} |\n"


def _show(state: HopState, given: HopInput) -> str:
    after = TRANSITIONS.get((state, given))
    if after is None:
        return ""
    return "·" if after is state else after.name


def _draw() -> str:
    """The states without the path onward, as a diagram; what changes nothing is left out."""
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> AWAY"]
    for state in HopState:
        if state.onward:
            continue
        targets: dict[HopState, list[str]] = {}
        for given in HopInput:
            after = TRANSITIONS.get((state, given))
            if after is not None and after is not state and not after.onward:
                targets.setdefault(after, []).append(given.name)
        lines += [f"    {state.name} --> {after.name}: {', '.join(names)}" for after, names in targets.items()]
    return "\n".join([*lines, "```", ""])


if __name__ == "__main__":
    sys.exit(run(render, sys.argv[1:]))
