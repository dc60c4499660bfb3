"""A home that shows another key: believed when both keys signed the renewal, and waited for else."""

from __future__ import annotations

import asyncio

import pytest

from hermes_client import PLAIN, Backoff, HermesClient
from hermes_core.crypto.signing import Identity
from hermes_core.endpoint.params import AppParams
from tests.support.renewals import FORGERIES, make_chain
from tests.unit.hermes_client.scripted_node import ScriptedNode

PATIENCE_S = 60.0
"""Longer than any test here takes."""


def _client(node: ScriptedNode) -> HermesClient:
    backoff = Backoff(base_s=0.01, cap_s=0.05)
    return HermesClient(node.address, tls=PLAIN, backoff=backoff, params=AppParams(home_patience_s=PATIENCE_S))


async def _come_back(node: ScriptedNode, client: HermesClient, identity: Identity, renewals: bytes) -> None:
    """The node restarts with this key; the client has a chat at home there."""
    client.driver.live_chats = lambda: [None]  # type: ignore[method-assign,list-item]
    await node.stop()
    node.identity, node.renewals = identity, renewals
    await node.start()


@pytest.mark.parametrize("renewed", [1, 2, 4])
async def test_a_home_that_renewed_its_key_is_home_again_at_once(renewed: int) -> None:
    async with ScriptedNode("node-0") as node, _client(node) as client:
        keys = [node.identity, *(Identity.generate() for _ in range(renewed))]
        await _come_back(node, client, keys[-1], make_chain(node.node_id, keys))
        async with asyncio.timeout(10):
            while node.connects < 2:  # noqa: ASYNC110 - the node counts
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("forgery", [*FORGERIES, "nothing"])
async def test_whoever_has_one_of_the_keys_only_gets_no_chat(forgery: str) -> None:
    """The app hangs up before it says who it is, and waits for its home as long as it always does."""
    async with ScriptedNode("node-0") as node, _client(node) as client:
        thief = Identity.generate()
        said = FORGERIES[forgery](node.node_id, node.identity, thief) if forgery in FORGERIES else b""
        await _come_back(node, client, thief, said)
        streams = node.streams
        async with asyncio.timeout(10):
            while node.streams < streams + 3:  # noqa: ASYNC110 - the node counts
                await asyncio.sleep(0.01)
        assert node.connects == 1
        del client.driver.live_chats
