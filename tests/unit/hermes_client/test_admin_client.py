"""AdminClient and the look for leftovers, against an admin server of aiohttp."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from hermes_client.scenario import admin_client, leftovers
from hermes_client.scenario.admin_client import AdminClient, AdminError, count_chats, count_chats_at_first
from hermes_client.scenario.leftovers import wait_nothing_left
from hermes_client.scenario.pair import BrokenPromiseError

TOKEN = "secret"


class FakeNode:
    """Answers /resume with `live` chats, the next number at every request, the last one for ever."""

    def __init__(self, live: list[int]) -> None:
        self.live = live
        self.body: str | None = None

    async def resume(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.Response(status=401)
        count = self.live.pop(0) if len(self.live) > 1 else self.live[0]
        return web.Response(text=self.body or f'{{"node_id": "node-0", "live_chats": {count}, "field_of_later": 1}}')


@contextlib.asynccontextmanager
async def _run(node: FakeNode) -> AsyncIterator[web.AppRunner]:
    app = web.Application()
    app.router.add_get("/resume", node.resume)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        yield runner
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def _serve(node: FakeNode) -> AsyncIterator[str]:
    async with _run(node) as runner:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0]
        yield f"http://{host}:{port}"


async def test_reads_and_ignores_what_a_later_node_adds() -> None:
    async with _serve(FakeNode([7])) as url:
        assert await count_chats({"n": AdminClient(url, TOKEN)}) == {"n": 7}


async def test_refusals_say_the_cure() -> None:
    node = FakeNode([7])
    async with _serve(node) as url:
        with pytest.raises(AdminError, match="refuses the token"):
            await AdminClient(url, "wrong").read_resume()
        with pytest.raises(AdminError, match="answered 404"):
            await AdminClient(url, TOKEN).read_ratchets()
        node.body = "<html>"
        with pytest.raises(AdminError, match="did not answer as an admin server does"):
            await AdminClient(url, TOKEN).read_resume()
    with pytest.raises(AdminError, match="cannot reach"):
        await AdminClient(url, TOKEN).read_resume()


async def test_a_server_that_takes_the_connection_and_says_nothing_is_said_to_give_no_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(admin_client, "REQUEST_TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as stopped:
        url = f"http://127.0.0.1:{stopped.getsockname()[1]}"
        with pytest.raises(AdminError, match=f"cannot reach {url}: .+"):
            await AdminClient(url, TOKEN).read_resume()


async def test_a_server_that_cannot_be_reached_yet_is_asked_again() -> None:
    node = FakeNode([7])
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))  # refuses until somebody listens
        host, port = sock.getsockname()
        asked = asyncio.create_task(count_chats_at_first({"n": AdminClient(f"http://{host}:{port}", TOKEN)}))
        await asyncio.sleep(0.1)
        assert not asked.done()
        async with _run(node) as runner:
            await web.SockSite(runner, sock).start()
            assert await asked == {"n": 7}


async def test_patience_ends_and_a_refusal_is_no_reason_for_it() -> None:
    async with _serve(FakeNode([7])) as url:
        with pytest.raises(AdminError, match="refuses the token"):
            await asyncio.wait_for(count_chats_at_first({"n": AdminClient(url, "wrong")}, patience_s=600), 60)
    with pytest.raises(AdminError, match="cannot reach"):
        await count_chats_at_first({"n": AdminClient(url, TOKEN)}, patience_s=0)


def test_a_token_file_is_read_without_its_line_end(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    assert AdminClient.from_file("http://x/", tmp_path / "token") == AdminClient("http://x", TOKEN)


async def test_waits_until_the_records_are_gone() -> None:
    async with _serve(FakeNode([2, 1, 0])) as url:
        assert await wait_nothing_left({"n": AdminClient(url, TOKEN)}, {"n": 0}) == "chat records: n 0"


async def test_chats_of_others_that_were_there_before_are_no_leftovers() -> None:
    async with _serve(FakeNode([5])) as url:
        assert await wait_nothing_left({"n": AdminClient(url, TOKEN)}, {"n": 5}) == "chat records: n 5"


async def test_a_record_that_stays_breaks_the_promise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "CLEAN_TIMEOUT_S", 0.2)
    async with _serve(FakeNode([1])) as url:
        with pytest.raises(BrokenPromiseError, match="records left over: n 1"):
            await wait_nothing_left({"n": AdminClient(url, TOKEN)}, {"n": 0})


async def test_without_an_admin_server_it_says_that_nothing_was_looked_at() -> None:
    assert "not looked at" in await wait_nothing_left({}, {})


@pytest.mark.parametrize(
    "text", ["nonsense", "127.0.0.1:9090", "ftp://127.0.0.1:9090", "http://", "http://[::1", "http://a:b", ""]
)
def test_what_is_no_url_is_refused_before_anybody_is_asked(text: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN)
    with pytest.raises(AdminError, match=r"is not the URL of an admin server; it is such as http://127\.0\.0\.1:9090"):
        AdminClient.from_file(text, tmp_path / "token")


async def test_who_refuses_a_connection_is_told_of_in_the_systems_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(AdminError) as caught:
        await AdminClient(url, TOKEN).read_resume()
    assert str(caught.value) == f"cannot reach {url}: Connection refused"


async def test_who_speaks_no_tls_is_told_of_as_such() -> None:
    async with _serve(FakeNode([7])) as url:
        secure = url.replace("http:", "https:")
        with pytest.raises(AdminError, match=rf"cannot reach {secure}: .*SSL") as caught:
            await AdminClient(secure, TOKEN).read_resume()
        assert "ssl:" not in str(caught.value)
