"""The operator's client against a real node process: witness, restart, resume, drain, wipe, and what goes wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import aiohttp
import pytest
from aiohttp import web

from hermes_client.scenario.local_mesh import LocalMesh
from hermes_core.keystore.witness_verdict import ResumeVerdict
from hermes_ctl import cli
from hermes_operator.nodes.client import MAX_ANSWER_BYTES, NodeClient, NodeRequestError
from hermes_operator.nodes.departure import Leftover
from hermes_operator.nodes.held_mark import is_of_another_opening, read_authentic
from hermes_operator.nodes.resume_judgement import judge_report


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


async def test_a_node_that_renewed_its_identity_is_the_same_node(session: aiohttp.ClientSession) -> None:
    """Witness and mark are of before; what it says of its former key counts as both keys signed it."""
    async with LocalMesh(1) as mesh:
        client = NodeClient(session, port=int(mesh.nodes[0].admin.rpartition(":")[2]))
        token, node = mesh.admin_token, mesh.nodes[0].node_id
        witness = await client.take_witness(node, "127.0.0.1", token)
        await mesh.kill(0)
        path, passphrase = str(mesh.nodes[0].keystore_path), str(mesh.folder / "passphrase")
        assert cli.main(["keystore", "renew-identity", path, "--passphrase-file", passphrase]) == 0
        await mesh.start(0)
        report = await client.check_resume(node, "127.0.0.1", token, witness)
        assert report.former_fingerprints == {witness.identity_fingerprint}
        assert report.identity_fingerprint != witness.identity_fingerprint
        assert judge_report(report, witness, witness.standing).good, report
        assert (
            await client.hand_back(node, "127.0.0.1", token, witness.mark)
        ).detail == "this keystore has been where the mark is"


async def test_witness_and_resume_of_a_real_node(session: aiohttp.ClientSession) -> None:
    async with LocalMesh(1) as mesh:
        client = NodeClient(session, port=int(mesh.nodes[0].admin.rpartition(":")[2]))
        token, node = mesh.admin_token, mesh.nodes[0].node_id
        witness = await client.take_witness(node, "127.0.0.1", token)
        assert witness.node_id == node
        with pytest.raises(NodeRequestError, match=f"expected other at this address; {node} answered"):
            await client.take_witness("other", "127.0.0.1", token)
        assert witness.witness_id
        assert read_authentic(witness.mark) is not None
        before = await client.check_resume(node, "127.0.0.1", token, None)
        assert not is_of_another_opening(before.mark, before.open_id)
        assert await client.version("127.0.0.1", token)
        assert await client.drain("127.0.0.1", token, move=False) == Leftover(0, 0)
        assert await client.drain("127.0.0.1", token, move=True) == Leftover(0, 0)
        await mesh.kill(0)
        await mesh.start(0)
        report = await client.check_resume(node, "127.0.0.1", token, witness)
        assert judge_report(report, witness, None).good, report
        assert judge_report(await client.check_resume(node, "127.0.0.1", token, None), None, None).good
        assert is_of_another_opening(witness.mark, report.open_id)
        assert (await client.hand_back(node, "127.0.0.1", token, witness.mark)).verdict is ResumeVerdict.RESUMED
        newer = replace(witness, commit_counter=witness.commit_counter + 10**6)
        asked = await client.check_resume(node, "127.0.0.1", token, newer)
        assert judge_report(asked, newer, None).verdict.name == "ROLLED_BACK"
        stranger = replace(witness, identity_fingerprint="a" * 32)
        asked = await client.check_resume(node, "127.0.0.1", token, stranger)
        assert judge_report(asked, stranger, None).verdict.name == "IDENTITY_CHANGED"
        with pytest.raises(NodeRequestError, match=r"answered 40[13]"):
            await client.take_witness(node, "127.0.0.1", "wrong token")
        await client.wipe("127.0.0.1", token)
        assert not mesh.nodes[0].keystore_path.exists()


async def test_a_node_that_is_not_there(session: aiohttp.ClientSession, unused_port: int) -> None:
    client = NodeClient(session, port=unused_port)
    with pytest.raises(NodeRequestError, match="/resume"):
        await client.check_resume("demo-0", "127.0.0.1", "t", None)
    with pytest.raises(NodeRequestError, match="no address yet"):
        await client.check_resume("demo-0", "", "t", None)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"no json", "something that is not ResumeReport"),
        (b'{"resumed": "many"}', "something that is not"),
        (b"[]", "expected demo-0 at this address; nobody answered"),
        (b'{"node_id": "demo-0"}', "expected demo-0"),
    ],
)
async def test_nonsense_is_an_error_and_no_traceback(session: aiohttp.ClientSession, body: bytes, said: str) -> None:
    async with serving(body) as port:
        with pytest.raises(NodeRequestError, match=said):
            await NodeClient(session, port=port).check_resume("demo-0", "127.0.0.1", "t", None)


async def test_an_endless_answer_is_cut_off(session: aiohttp.ClientSession) -> None:
    good = b'{"node_id": "demo-0", "identity_fingerprint": "x"}'
    async with serving(good.rjust(MAX_ANSWER_BYTES)) as port:
        await NodeClient(session, port=port).check_resume("demo-0", "127.0.0.1", "t", None)
    async with serving(good.rjust(MAX_ANSWER_BYTES + 1)) as port:
        with pytest.raises(NodeRequestError, match="more than"):
            await NodeClient(session, port=port).check_resume("demo-0", "127.0.0.1", "t", None)


async def test_a_verdict_that_only_a_newer_node_knows_is_none_that_counts(session: aiohttp.ClientSession) -> None:
    async with serving(b'{"node_id": "demo-0", "identity_fingerprint": "x", "verdict": 99}') as port:
        report = await NodeClient(session, port=port).check_resume("demo-0", "127.0.0.1", "t", None)
    assert report.verdict is ResumeVerdict.RESUME_VERDICT_UNSPECIFIED


class serving:  # noqa: N801 - used like a function
    """A server that gives one answer to everything."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aenter__(self) -> int:
        async def answer(_: web.Request) -> web.Response:
            return web.Response(body=self._body)

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        port: int = self._runner.addresses[0][1]
        return port

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()


@pytest.fixture
def unused_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
