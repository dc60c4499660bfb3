"""The configuration: what it takes, what it refuses, and that a refusal names the field."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from hermes_core.bounds import LimitError, tunables_of
from hermes_core.errors import ConfigError
from hermes_node.config import rules
from hermes_node.config.sections import SECTIONS, Config
from hermes_node.config.sources import load_config

TLS = 'tls_cert = "/c"\ntls_key = "/k"\ntls_ca = "/ca"\n'
MINIMAL = f'[node]\nid = "hermes-0"\n[mesh]\nadvertise = "hermes-0.mesh:7443"\n{TLS}'
IN_PLAIN = {"HERMES_APP_PLAINTEXT": "true"}


def load(text: str = MINIMAL, environment: dict[str, str] | None = None, *, tmp: Path) -> Config:
    path = tmp / "node.toml"
    path.write_text(text)
    return load_config(path, IN_PLAIN | (environment or {}))


def test_minimal_configuration_takes_the_defaults(tmp_path: Path) -> None:
    config = load(tmp=tmp_path)
    assert config.node.id == "hermes-0"
    assert config.app.listen == "0.0.0.0:8443"
    assert config.keystore_path == Path("/var/lib/hermes/keystore.db")
    assert config.mesh_enabled


def test_environment_is_stronger_than_the_file(tmp_path: Path) -> None:
    environment = {
        "HERMES_NODE_ID": "hermes-7",
        "HERMES_APP_LISTEN": "127.0.0.1:0",
        "HERMES_MESH_SEEDS": "a:1, dns:b:2,",
        "HERMES_KEYSTORE_CREATE": "false",
        "HERMES_CRYPTO_WINDOW": "16",
        "HERMES_MESH_DEAD_AFTER_S": "7.5",
        "HERMES_KEYSTORE_PASSPHRASE": "not a setting",
        "UNRELATED": "x",
    }
    config = load(environment=environment, tmp=tmp_path)
    assert config.node.id == "hermes-7"
    assert config.mesh.seeds == ("a:1", "dns:b:2")
    assert config.keystore.create is False
    assert (config.crypto.window, config.mesh.dead_after_s) == (16, 7.5)


def test_environment_alone_is_enough() -> None:
    environment = {"HERMES_NODE_ID": "n", "HERMES_MESH_LISTEN": "", "HERMES_APP_LISTEN": "localhost:8443"}
    assert not load_config(None, environment).mesh_enabled


def test_kubernetes_service_links_are_no_settings(tmp_path: Path) -> None:
    links = {
        "HERMES_APP_SERVICE_HOST": "10.0.0.1",
        "HERMES_APP_PORT": "tcp://10.0.0.1:8443",
        "HERMES_APP_PORT_8443_TCP_ADDR": "10.0.0.1",
        "HERMES_APP_SERVICE_PORT_GRPC": "8443",
        "HERMES_SERVICE_HOST": "10.0.0.1",
    }
    assert load(environment=links, tmp=tmp_path) == load(tmp=tmp_path)


REFUSED = [
    ("[nod]\n", "nod", "did you mean node?"),
    (MINIMAL + '[app]\nlissten = "x:1"\n', "app.lissten", "did you mean app.listen?"),
    ("node = 3\n", "node", "table"),
    (MINIMAL + "[app]\nlisten = 8443\n", "app.listen", "text"),
    (MINIMAL + '[app]\nlisten = "8443"\n', "app.listen", "host:port"),
    (MINIMAL + '[app]\nlisten = "h:65536"\n', "app.listen", "host:port"),
    (MINIMAL + '[app]\nlisten = "::1:80"\n', "app.listen", "brackets"),
    (MINIMAL + '[app]\nadvertise = "h:0"\n', "app.advertise", "port"),
    (MINIMAL + '[app]\nadvertise = "0.0.0.0:1"\n', "app.advertise", "every address"),
    (f'[node]\nid = "a"\n[mesh]\nadvertise = "[::]:1"\n{TLS}', "mesh.advertise", "every address"),
    (f'[node]\nid = "a"\n[mesh]\nadvertise = "[fe80::1%eth0]:1"\n{TLS}', "mesh.advertise", "zone"),
    (f'[node]\nid = "a"\n[mesh]\n{TLS}', "mesh.advertise", "every address of this machine: set the host:port"),
    (f'[node]\nid = "a"\n[mesh]\nlisten = "[::]:1"\n{TLS}', "mesh.advertise", "every address of this machine"),
    (f'[node]\nid = "a"\n[mesh]\nlisten = "[fe80::1%eth0]:1"\n{TLS}', "mesh.advertise", "this machine alone"),
    (MINIMAL + '[app]\ntls_cert = "/c"\n', "app.tls_key", "belong together"),
    (MINIMAL + '[app]\ntls_client_ca = "/c"\n', "app.tls_client_ca", "app.tls_cert"),
    (MINIMAL + '[app]\ntls_cert = "/c"\ntls_key = "/k"\n', "app.plaintext", "contradicts"),
    (MINIMAL + '[app]\ntransport = "http"\n', "app.transport", "grpc"),
    (MINIMAL + '[app]\ntransport = "grpc"\ntrusted_proxies = ["10.0.0.0/8"]\n', "app.trusted_proxies", "app.transport"),
    (MINIMAL + '[app]\ntrusted_proxies = ["10.0.0.1/8"]\n', "app.trusted_proxies[0]", "no network"),
    (f"[mesh]\n{TLS}", "node.id", "required"),
    (f'[node]\nid = "Hermes_0"\n[mesh]\n{TLS}', "node.id", "DNS label"),
    (f'[node]\nid = "{"a" * 64}"\n[mesh]\n{TLS}', "node.id", "63"),
    ('[node]\nid = "a"\n', "mesh.tls_cert", "mutual TLS"),
    ('[node]\nid = "a"\n[mesh]\nlisten = ""\nseeds = ["a:1"]\n', "mesh.seeds", "mesh.listen"),
    (MINIMAL + 'seeds = ["nonsense"]\n', "mesh.seeds[0]", "host:port"),
    (MINIMAL + 'seeds = ["a:1", "dns:a:0"]\n', "mesh.seeds[1]", "port"),
    (MINIMAL + 'seeds = "a:1"\ndead_after_s = 1.0\n', "mesh.dead_after_s", "twice"),
    (MINIMAL + "heartbeat_interval_s = nan\n", "mesh.heartbeat_interval_s", "not between"),
    (MINIMAL + "heartbeat_interval_s = 0.04\n", "mesh.heartbeat_interval_s", "not between"),
    (MINIMAL + "[keystore]\ncreate = 1\n", "keystore.create", "true or false"),
    (MINIMAL + "[keystore]\nargon2_memory_kib = 8191\n", "keystore.argon2_memory_kib", "not between"),
    (MINIMAL + "[crypto]\nwindow = 0\n", "crypto.window", "not between"),
    (MINIMAL + "[crypto]\nwindow = true\n", "crypto.window", "whole number"),
    (MINIMAL + "[crypto]\nwindow = 1.5\n", "crypto.window", "whole number"),
    (MINIMAL + "[crypto]\nwindow = 2048\n", "crypto.window", "crypto.max_skip"),
    (MINIMAL + '[crypto]\nsuites = ["x25519-md5"]\n', "crypto.suites", "x25519-sha256, x25519-sha512"),
    (MINIMAL + "[crypto]\nsuites = []\n", "crypto.suites", "1 to 4 of"),
    (MINIMAL + '[crypto]\nsuites = "x25519-sha256,,rot13"\n', "crypto.suites", "1 to 4 of"),
    (MINIMAL + '[log]\nlevel = "loud"\n', "log.level", "debug, info"),
    ('[node]\nid = "a"\ndata_dir = "here"\n[mesh]\n' + TLS, "node.data_dir", "absolute"),
    ("[node\n", "--config", "not TOML"),
    ("a = " + "[" * 20_000, "--config", "not TOML"),
    ("a = 1" + "0" * 5000, "--config", "not TOML"),
    ('"a\\nb" = 1\n', "'a\\nb'", "unknown section"),
    (MINIMAL + "[crypto]\nmax_skip = 4097\n", "crypto.max_skip", "not between 1 and 4096"),
    (MINIMAL + "[crypto]\nwindow = 4097\nmax_skip = 4096\n", "crypto.window", "not between 1 and 4096"),
    (MINIMAL + "[crypto]\nwindow = 0x" + "f" * 5000, "crypto.window", "a huge number is not between"),
    (MINIMAL + "dead_after_s = 1" + "0" * 400, "mesh.dead_after_s", "inf is not between"),
    (MINIMAL + '[app]\nlisten = "a b:1"\n', "app.listen", "neither a host name nor an IP address"),
    (MINIMAL + '[app]\nlisten = "a..b:1"\n', "app.listen", "neither"),
    (MINIMAL + f'[app]\nlisten = "{"a" * 64}:1"\n', "app.listen", "neither"),
    (MINIMAL + '[app]\nlisten = "1.2.3.256:1"\n', "app.listen", "neither"),
    (MINIMAL + '[app]\nlisten = "[localhost]:1"\n', "app.listen", "neither"),
    (MINIMAL + f'[app]\nlisten = "h:{"0" * 5000}"\n', "app.listen", "host:port"),
    (MINIMAL + '[app]\nlisten = "0.0.0.0:9090"\n', "app.listen", "taken by admin.listen"),
    (MINIMAL + '[app]\nlisten = "[::]:9090"\n', "app.listen", "taken by admin.listen"),
    (MINIMAL + '[app]\nlisten = "[::1]:9090"\n', "app.listen", "taken by admin.listen"),
    (MINIMAL + '[app]\nlisten = "10.0.0.1:7443"\n', "app.listen", "taken by mesh.listen"),
    (MINIMAL + '[app]\nlisten = "h\\u0000:1"\n', "app.listen", "control character"),
    (MINIMAL + '[keystore]\npath = "a\\nb"\n', "keystore.path", "control character"),
    (MINIMAL + 'seeds = ["a:1", "\\u007f:1"]\n', "mesh.seeds", "control character"),
]


@pytest.mark.parametrize(("text", "field", "words"), REFUSED, ids=[f"{field}-{n}" for n, (_, field, _) in enumerate(REFUSED)])
def test_refusals_name_the_field(text: str, field: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(text, tmp=tmp_path)
    assert caught.value.field == field
    assert words in caught.value.detail
    assert "\n" not in caught.value.detail.strip()


APP_TLS = 'tls_cert = "/c"\ntls_key = "/k"\n'


@pytest.mark.parametrize(
    ("app", "security"),
    [
        (APP_TLS, "TLS"),
        (APP_TLS + 'tls_client_ca = "/ca"\n', "mutual TLS"),
        ('plaintext = true\nlisten = "0.0.0.0:1"\n', "plain"),
        ('listen = "127.3.2.1:0"\n', "plain"),
        ('listen = "[::1]:0"\n', "plain"),
        ('listen = "LocalHost.:0"\n', "plain"),
    ],
)
def test_apps_are_served_in_plain_where_that_was_said_or_nobody_else_hears_it(app: str, security: str, tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    path.write_text(f"{MINIMAL}[app]\n{app}")
    assert load_config(path, {}).app.security == security


@pytest.mark.parametrize("listen", ["", "0.0.0.0:0", "[::]:0", "10.0.0.1:0", "localhost.example:0"])
def test_plain_text_that_was_not_asked_for_is_refused_with_its_cures(listen: str, tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    path.write_text(MINIMAL + (f'[app]\nlisten = "{listen}"\n' if listen else ""))
    with pytest.raises(ConfigError) as caught:
        load_config(path, {})
    assert caught.value.field == "app.tls_cert"
    for cure in ("app.tls_key", "app.plaintext = true", "loopback"):
        assert cure in caught.value.detail


def test_a_wrong_variable_is_named(tmp_path: Path) -> None:
    for variable, field in (("HERMES_CRYPTO_WINDOW", "crypto.window"), ("HERMES_MESH_SEEDS", "mesh.seeds[0]")):
        with pytest.raises(ConfigError, match=rf"\(from {variable}\)") as caught:
            load(environment={variable: "0"}, tmp=tmp_path)
        assert caught.value.field == field


def test_what_the_core_alone_refuses_is_found_before_anything_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Config) -> None:
        raise LimitError("max_skip", "is too large for the core")

    monkeypatch.setattr(rules, "build_chat_params", refuse)
    with pytest.raises(ConfigError, match="max_skip: is too large for the core"):
        load(tmp=tmp_path)


def test_two_ports_of_one_machine_may_be_the_systems_choice(tmp_path: Path) -> None:
    text = MINIMAL + 'listen = "127.0.0.1:0"\n[app]\nlisten = "127.0.0.1:0"\n[admin]\nlisten = "127.0.0.2:0"\n'
    assert load(text, tmp=tmp_path).admin.listen == "127.0.0.2:0"
    assert load(MINIMAL + 'listen = "127.0.0.1:8443"\n[app]\nlisten = "127.0.0.2:8443"\n', tmp=tmp_path).mesh_enabled


def test_bounds_themselves_are_accepted(tmp_path: Path) -> None:
    text = MINIMAL + "heartbeat_interval_s = 0.05\n[keystore]\nargon2_memory_kib = 8192\n[crypto]\nwindow = 1024\n"
    assert load(text, tmp=tmp_path).crypto.window == 1024


def test_unknown_variable_of_a_known_section_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"did you mean app\.listen\?") as caught:
        load(environment={"HERMES_APP_LISTN": "h:1"}, tmp=tmp_path)
    assert caught.value.field == "HERMES_APP_LISTN"


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing\.toml"):
        load_config(tmp_path / "nothing.toml", {})


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="larger than"):
        load(MINIMAL + "#" + "x" * (1 << 20), tmp=tmp_path)


def test_every_setting_is_described_and_every_number_is_a_limit() -> None:
    for name, section in SECTIONS.items():
        hints = get_type_hints(section, include_extras=True)
        for item in fields(section):
            plain, meta = get_args(hints[item.name])
            assert meta.description.endswith("."), f"{name}.{item.name}"
            assert (item.name in tunables_of(section)) == (plain not in (str, bool, tuple[str, ...])), f"{name}.{item.name}"
