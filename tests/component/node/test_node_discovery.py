"""How nodes find each other through a name that stands for all of them, in both ways of membership."""

from __future__ import annotations

import asyncio
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hermes_client.scenario.certificates import LocalAuthority
from hermes_core.endpoint.events import ChatEnded, ChatReady, PathChanged
from tests.support.named_mesh import WAIT_S, NamedMesh, SilentPort, find_port, named_mesh
from tests.support.nodes import wait_until
from tests.support.raw_app import RawApp

A, B, C, D = (f"127.0.0.{number}" for number in range(2, 6))
ALONE_S = 3.0
UNHURRIED_S = 8.0
"""Longer than between two Joins, each of which is a sign of life."""


@pytest.fixture(params=["gossip", "swim"])
def mesh(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NamedMesh]:
    with named_mesh(tmp_path, request.param) as started:
        yield started


async def test_a_name_that_leads_to_wrong_places_as_well_keeps_nobody_from_joining(mesh: NamedMesh, tmp_path: Path) -> None:
    """The own address, one where nobody answers, and a node of another mesh."""
    (tmp_path / "other").mkdir()
    mesh.resolve(A, B, C, D)
    mesh.start("stranger", D, authority=LocalAuthority(tmp_path / "other"), seeds=[])
    async with SilentPort([C], mesh.port):
        mesh.start("node-a", A)
        mesh.start("node-b", B)
        await mesh.wait_together("node-a", "node-b")
        for name in ("node-a", "node-b"):
            said = await mesh.wait_logged(name, "mesh_seed_failed")
            assert said["seed"] == mesh.seed
            assert said["cure"]
    await mesh.wait_ready("stranger")
    assert set(await mesh.find_states("stranger")) == {"stranger"}
    for name in ("node-a", "node-b"):
        assert set(await mesh.find_states(name)) == {"node-a", "node-b"}
        assert len(mesh.read_log(name, "mesh_seed_failed")) == 1


async def test_who_shows_a_certificate_of_another_mesh_is_named_with_the_cure(mesh: NamedMesh, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    mesh.resolve(B)
    mesh.start("stranger", B, authority=LocalAuthority(tmp_path / "other"), seeds=[])
    await mesh.wait_ready("stranger")
    mesh.start("node-a", A)
    said = await mesh.wait_logged("node-a", "mesh_seed_failed")
    assert said["address"] == f"{B}:{mesh.port}"
    assert "must be signed by mesh.tls_ca, and the one there must bear the name localhost" in said["cure"]


async def test_a_name_that_resolves_late_and_to_others_later(mesh: NamedMesh) -> None:
    mesh.silence()
    mesh.start("node-a", A)
    said = await mesh.wait_logged("node-a", "mesh_seed_failed")
    assert (said["seed"], said["address"]) == (mesh.seed, mesh.seed)
    assert "name servers" in said["cure"]
    await asyncio.sleep(1.0)  # longer than the grace: without an answer nobody is alone by design
    assert (await mesh.ask("node-a", "/readyz"))[0] != 200
    mesh.resolve(A)
    await mesh.wait_ready("node-a")
    mesh.resolve(A, B)
    mesh.start("node-b", B)
    await mesh.wait_together("node-a", "node-b")
    mesh.kill("node-b")
    mesh.resolve(A, C)
    mesh.start("node-c", C)
    await mesh.wait_together("node-a", "node-c")
    assert len(mesh.read_log("node-a", "mesh_seed_failed")) <= 2


async def test_of_hundreds_of_addresses_a_few_are_asked_at_a_time(mesh: NamedMesh) -> None:
    silent = [f"127.0.{1 + number // 250}.{1 + number % 250}" for number in range(300)]
    mesh.resolve(A, B, *silent)
    async with SilentPort(silent, mesh.port) as port:
        mesh.start("node-a", A)
        await mesh.wait_logged("node-a", "mesh_seed_failed")
        assert 0 < port.most <= 8
        assert (await mesh.ask("node-a", "/readyz"))[0] != 200, "it has not asked all yet"
        mesh.start("node-b", B, behind=[A])
        await mesh.wait_together("node-a", "node-b")
        assert port.most <= 8
    assert len(mesh.read_log("node-a", "mesh_seed_failed")) == 1


async def test_who_is_alone_stays_ready_whoever_comes_goes_or_does_not_answer(mesh: NamedMesh) -> None:
    mesh.start("node-a", A, seeds=[])
    await mesh.wait_ready("node-a")
    mesh.start("node-b", B, behind=[A])
    await mesh.wait_together("node-a", "node-b")
    mesh.kill("node-b")

    async def is_buried() -> bool:
        assert (await mesh.ask("node-a", "/readyz"))[0] == 200
        return (await mesh.find_states("node-a"))["node-b"] == "dead"

    await wait_until(is_buried, WAIT_S)
    until = time.monotonic() + ALONE_S
    while time.monotonic() < until:
        assert (await mesh.ask("node-a", "/readyz"))[0] == 200
        await asyncio.sleep(0.05)
    assert not mesh.read_log("node-a", "mesh_seed_failed"), "it has no seeds"
    mesh.start("node-b", B, behind=[A])
    await mesh.wait_together("node-a", "node-b")


async def test_an_address_that_does_not_answer_yet_takes_no_readiness_from_who_is_alone(mesh: NamedMesh) -> None:
    mesh.resolve(A)
    mesh.start("node-a", A)
    await mesh.wait_ready("node-a")
    mesh.resolve(A, B)
    await mesh.wait_logged("node-a", "mesh_seed_failed")
    assert (await mesh.ask("node-a", "/readyz"))[0] == 200
    mesh.start("node-b", B)
    await mesh.wait_together("node-a", "node-b")


async def test_who_is_not_answered_at_is_not_taken_for_alone(mesh: NamedMesh) -> None:
    """The answer takes longer to fail than the grace lasts."""
    mesh.resolve(A, B)
    async with SilentPort([B], mesh.port) as port:
        mesh.start("node-a", A)
        await mesh.wait_logged("node-a", "mesh_seed_failed")
        assert (await mesh.ask("node-a", "/readyz"))[0] != 200
        assert port.taken
        assert not mesh.read_log("node-a", "mesh_alone")


async def test_a_node_that_comes_back_at_another_address_is_found_while_the_former_one_is_silent(mesh: NamedMesh) -> None:
    """As a pod that was scheduled anew, off a machine that stands still: links to the former one neither end nor answer."""
    mesh.resolve(A, B, C)
    for name, host in (("node-a", A), ("node-b", B), ("node-c", C)):
        mesh.start(name, host, dead_after_s=UNHURRIED_S)
    await mesh.wait_together("node-a", "node-b", "node-c")
    # Of each pair the lower id dials: the one dials all others, the other is dialled by all.
    await _move(mesh, "node-a", "127.0.0.11", {"node-b": "node-b", "node-c": "node-c"})
    await _move(mesh, "node-c", "127.0.0.12", {"node-a": "node-a-moved", "node-b": "node-b"})


async def _move(mesh: NamedMesh, name: str, moved: str, others: dict[str, str]) -> None:
    """`others`: their folders, by node id."""
    mesh.process(name).send_signal(signal.SIGSTOP)
    folder = mesh.folder / f"{name}-moved"
    shutil.copytree(mesh.folder / name, folder, ignore=shutil.ignore_patterns("*.lock", "ready.json", "node.log"))
    mesh.start(name, moved, folder=folder, behind=[B], dead_after_s=UNHURRIED_S)

    async def is_linked() -> bool:
        seen = await mesh.find_members(folder.name)
        return all(seen.get(other, {}).get("linked") and seen[other]["state"] == "alive" for other in others)

    await wait_until(is_linked, WAIT_S)
    for other in others.values():
        seen = (await mesh.find_members(other))[name]
        assert (seen["address"], seen["state"]) == (f"{moved}:{mesh.port}", "alive")


async def test_nodes_that_have_ipv6_alone_find_each_other_and_show_brackets_everywhere(mesh: NamedMesh) -> None:
    first, second = find_port("::1"), find_port("::1")
    mesh.start("node-a", "::1", port=first, seeds=[f"[::1]:{second}"])
    mesh.start("node-b", "::1", port=second, seeds=[f"[::1]:{first}"])
    await mesh.wait_together("node-a", "node-b")
    seen = {name: member["address"] for name, member in (await mesh.find_members("node-a")).items()}
    assert seen == {"node-a": f"[::1]:{first}", "node-b": f"[::1]:{second}"}
    (serving,) = mesh.read_log("node-a", "node_serving")
    assert serving["mesh"] == f"[::1]:{first}"
    assert all(serving[name].startswith("[::1]:") for name in ("admin", "app"))
    assert all(said["address"].startswith("[::1]:") for said in mesh.read_log("node-a", "mesh_seed_failed"))


async def test_one_node_behind_addresses_of_both_families_is_one(mesh: NamedMesh) -> None:
    mesh.resolve("127.0.0.1", "::1")
    mesh.start("node-a", "0.0.0.0", advertise=f"[::1]:{mesh.port}")  # noqa: S104 - both families
    await mesh.wait_ready("node-a")
    assert mesh.read_log("node-a", "mesh_alone")
    mesh.start("node-b", "127.0.0.1", port=0)
    await mesh.wait_together("node-a", "node-b")


async def test_of_two_with_one_data_folder_the_newer_one_ends_and_the_other_serves_on(mesh: NamedMesh) -> None:
    mesh.resolve(A, B, C)
    mesh.start("node-a", A)
    mesh.start("node-b", B)
    await mesh.wait_together("node-a", "node-b")
    copy = mesh.folder / "copy"
    shutil.copytree(mesh.folder / "node-a", copy, ignore=shutil.ignore_patterns("*.lock", "ready.json", "node.log"))
    mesh.start("node-a", C, folder=copy)
    second = mesh.process("copy")

    async def is_over() -> bool:
        return second.poll() is not None

    await wait_until(is_over, WAIT_S)
    assert second.returncode == 83
    assert "IDENTITY_CONFLICT" in (copy / "node.log").read_text()
    assert mesh.process("node-a").poll() is None

    async def is_known_where_it_is() -> bool:
        seen = (await mesh.find_members("node-b"))["node-a"]
        return (seen["address"], seen["state"], seen.get("linked")) == (f"{A}:{mesh.port}", "alive", True)

    await wait_until(is_known_where_it_is, WAIT_S)
    assert (await mesh.ask("node-a", "/readyz"))[0] == 200


async def test_a_name_with_another_key_is_taken_in_by_all_once_the_former_one_is_silent_and_not_before(mesh: NamedMesh) -> None:
    """Its volume was lost: the name and its certificate are right. All have one seed, so that most of them it must find."""
    for name, host in (("node-a", A), ("node-b", B), ("node-c", C)):
        mesh.start(name, host, behind=[B])
    await mesh.wait_together("node-a", "node-b", "node-c")
    former = (await mesh.find_members("node-a"))["node-c"]["identity_fingerprint"]
    async with RawApp(mesh.find_app("node-a")) as one, RawApp(mesh.find_app("node-b")) as two:
        await one.wait_found(two)
        chat = await one.start_chat(two)
        await two.wait_event(ChatReady)
        await _bring_back_without_volume(mesh, former)
        await one.say(chat, b"over")
        await two.wait(lambda: two.contents()[-1:] == [b"over"])
        for app in (one, two):
            assert not [event for event in app.events if isinstance(event, ChatEnded)]
            assert not [event for event in app.events if isinstance(event, PathChanged) and not event.up]


async def _bring_back_without_volume(mesh: NamedMesh, former: str) -> None:
    mesh.start("node-c", D, folder=mesh.folder / "anew", behind=[B])
    said = await mesh.wait_logged("anew", "mesh_seed_failed")
    assert "name, a keystore and a certificate of its own" in said["cure"]
    assert (await mesh.ask("anew", "/readyz"))[0] != 200
    for name in ("node-a", "node-b"):
        seen = (await mesh.find_members(name))["node-c"]
        assert (seen["identity_fingerprint"], seen["state"]) == (former, "alive")
        assert (await mesh.ask(name, "/readyz"))[0] == 200
    mesh.kill("node-c")
    began = time.monotonic()

    async def is_taken_in() -> bool:
        for name in ("node-a", "node-b"):
            seen = (await mesh.find_members(name))["node-c"]
            if seen["identity_fingerprint"] == former or seen["state"] != "alive":
                return False
        return True

    await wait_until(is_taken_in, WAIT_S)
    print("taken in", time.monotonic() - began)
    await mesh.wait_ready("anew")
    assert (await mesh.find_states("node-a"))["node-b"] == "alive"
