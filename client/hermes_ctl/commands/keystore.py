"""hermesctl keystore: make, look into, check, re-key and migrate the sealed file of a node that is not running."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable

from hermes_core.crypto.kdf_argon2 import Argon2Params
from hermes_core.crypto.random import SYSTEM_RANDOM
from hermes_core.crypto.secret import SecretBytes
from hermes_core.errors import KeystoreRolledBackError
from hermes_core.keystore.key_backend import PASSPHRASE_BACKEND_ID, PassphraseBackend
from hermes_core.keystore.record_versions import RECORD_VERSIONS
from hermes_core.keystore.tables import Table
from hermes_ctl.errors import CtlError
from hermes_ctl.output import add_output_option, print_data
from hermes_ctl.terminal import say
from hermes_keystore import Keystore
from hermes_keystore.inspection import Audit, Inspection, audit_file, inspect_file, is_outdated
from hermes_node.core_dumps import forbid_core_dumps
from hermes_node.keystore.identity import new_identity, renew_identity
from hermes_node.keystore.passphrase import read_passphrase, take_passphrase

_FROM_ENVIRONMENT = "HERMES_KEYSTORE_PASSPHRASE"

_EPILOG = """examples:
  make one; without --passphrase-file it asks (or reads HERMES_KEYSTORE_PASSPHRASE):
    hermesctl keystore init keystore.db --passphrase-file passphrase

  see what anybody with the file sees (no passphrase, no secrets):
    hermesctl keystore inspect keystore.db

  prove that every record is authentic, in its place, and that none is missing:
    hermesctl keystore verify keystore.db --passphrase-file passphrase

  change the passphrase, and shut out who kept the old file and the old passphrase:
    hermesctl keystore rotate-passphrase keystore.db --passphrase-file old --new-passphrase-file new --and-generation

  make every older copy of a record worthless:
    hermesctl keystore rotate-generation keystore.db --passphrase-file passphrase

  give the node another identity key, for instance when the present one may be known to others; its chats go on:
    hermesctl keystore renew-identity keystore.db --passphrase-file passphrase

  see what a new version would migrate, then migrate:
    hermesctl keystore migrate keystore.db --dry-run
    hermesctl keystore migrate keystore.db --passphrase-file passphrase

Stop the node first: one process, one keystore. Nothing is changed when a command fails; the exit code says why
(71 wrong passphrase, 72 tampered, 73 newer version, 74 volume, 75 in use, 76 missing, 77 an older copy, 79 exists already,
82 asks for too much of Argon2id).
"""


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "keystore",
        help="make, look into, check, re-key and migrate a keystore file",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    init = _add(actions, "init", init_keystore, "make a keystore with the identity of a new node; never overwrites one")
    inspect = _add(actions, "inspect", inspect_keystore, "what the file shows without a passphrase", passphrase=False)
    verify = _add(actions, "verify", verify_keystore, "check every record; changes nothing")
    rewrap = _add(actions, "rotate-passphrase", rotate_passphrase, "seal with another passphrase; records are not touched")
    _add(actions, "rotate-generation", rotate_generation, "re-seal every record under a new key and forget the old one")
    _add(actions, "renew-identity", renew_node_identity, "give the node a new identity key; its chats stay and move to it")
    migrate = _add(actions, "migrate", migrate_keystore, "bring older records to the current version, in one transaction")
    for action in (init, rewrap):
        _add_costs(action)
    for action in (inspect, verify):
        add_output_option(action, ("table", "json", "yaml"))
    rewrap.add_argument("--new-passphrase-file", type=Path, metavar="FILE", help="the new passphrase (default: ask)")
    rewrap.add_argument(
        "--and-generation",
        action="store_true",
        help="also rotate the generation, so that old file and old passphrase open nothing new",
    )
    migrate.add_argument("--dry-run", action="store_true", help="only say what would be migrated; needs no passphrase")


def _add(actions: Any, name: str, run: Any, text: str, *, passphrase: bool = True) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=text, description=f"{text}.")
    parser.add_argument("path", type=Path, help="the keystore's file, usually DATA_DIR/keystore.db")
    if passphrase:
        parser.add_argument(
            "--passphrase-file", type=Path, metavar="FILE", help=f"default: {_FROM_ENVIRONMENT}, or ask on a terminal"
        )
        parser.add_argument(
            "--any-cost", action="store_true", help="open a file that asks for more Argon2id than four times the default"
        )
    parser.set_defaults(run=run)
    return parser


def _add_costs(parser: argparse.ArgumentParser) -> None:
    usual = Argon2Params()
    parser.add_argument("--memory-kib", type=int, default=usual.memory_kib, help=f"Argon2id memory ({usual.memory_kib})")
    parser.add_argument("--time-cost", type=int, default=usual.time_cost, help=f"Argon2id passes ({usual.time_cost})")
    parser.add_argument("--lanes", type=int, default=usual.lanes, help=f"Argon2id lanes ({usual.lanes})")


def init_keystore(options: argparse.Namespace) -> int:
    costs = _read_costs(options)
    passphrase = _read_passphrase(options.passphrase_file, "new passphrase", twice=True)
    with (
        new_identity(SYSTEM_RANDOM) as records,
        Keystore.create(options.path, passphrase, records=records, argon2=costs) as store,
    ):
        say(f"made {options.path}: file id {store.file_id.hex()}, generation {store.mark.generation}")
    return 0


def inspect_keystore(options: argparse.Namespace) -> int:
    _print(options.output, _describe_inspection(inspect_file(options.path)))
    return 0


def verify_keystore(options: argparse.Namespace) -> int:
    passphrase = _read_passphrase(options.passphrase_file, "passphrase")
    audit = audit_file(options.path, PassphraseBackend(passphrase, any_cost=options.any_cost))
    _print(options.output, _describe_audit(audit))
    if audit.rollback is not None:
        raise KeystoreRolledBackError(audit.rollback.detail)
    return 0


def rotate_passphrase(options: argparse.Namespace) -> int:
    costs = _read_costs(options)
    passphrase = _read_passphrase(options.passphrase_file, "old passphrase")
    new = _read_passphrase(options.new_passphrase_file, "new passphrase", twice=True, new=True)
    with _open(options, passphrase) as store:
        store.rotate_passphrase(new, argon2=costs)
        if options.and_generation:
            store.rotate_generation()
        say(f"sealed with the new passphrase: generation {store.mark.generation}, commit {store.mark.commit_counter}")
    if not options.and_generation:
        say("who kept an older file and the old passphrase can still open what this generation seals: see rotate-generation")
    return 0


def rotate_generation(options: argparse.Namespace) -> int:
    with _open(options, _read_passphrase(options.passphrase_file, "passphrase")) as store:
        store.rotate_generation()
        records = sum(store.record_count(table) for table in Table)
        say(f"{records} records sealed anew: generation {store.mark.generation}, commit {store.mark.commit_counter}")
    return 0


def renew_node_identity(options: argparse.Namespace) -> int:
    with _open(options, _read_passphrase(options.passphrase_file, "passphrase")) as store:
        renewed = renew_identity(store, SYSTEM_RANDOM)
        say(f"{renewed.node_id} had identity {renewed.former}, has {renewed.now}: generation {store.mark.generation}")
    say("start the node: its apps move their chats to the new identity, and other nodes take it in at once")
    return 0


def migrate_keystore(options: argparse.Namespace) -> int:
    before = inspect_file(options.path)
    outdated = {place: count for place, count in before.records.items() if is_outdated(*place)}
    for (table, version), count in outdated.items():
        say(f"{_table_name(table)}: {count} records from version {version} to {RECORD_VERSIONS[Table(table)]}")
    if options.dry_run or not outdated:
        say(f"{sum(outdated.values())} records to migrate")
        return 0
    with _open(options, _read_passphrase(options.passphrase_file, "passphrase")) as store:
        say(f"migrated: generation {store.mark.generation}, commit {store.mark.commit_counter}")
    return 0


def _open(options: argparse.Namespace, passphrase: SecretBytes) -> Keystore:
    return Keystore.open(options.path, passphrase, backend=PassphraseBackend(passphrase, any_cost=options.any_cost))


def _read_costs(options: argparse.Namespace) -> Argon2Params:
    try:
        return Argon2Params(options.memory_kib, options.time_cost, options.lanes)
    except ValueError as error:
        raise CtlError(f"--{str(error).replace('_', '-', 1)}") from None


def _read_passphrase(path: Path | None, what: str, *, twice: bool = False, new: bool = False) -> SecretBytes:
    """From a file, the environment (not for a rotation's new one), or the terminal. From then on this process is not dumped."""
    forbid_core_dumps()
    environment: dict[str, str] = {} if new else dict(os.environ)
    if path is not None or environment.get(_FROM_ENVIRONMENT):
        return read_passphrase(str(path or ""), environment)
    if not sys.stdin.isatty():
        flag = "--new-passphrase-file" if new else f"--passphrase-file or {_FROM_ENVIRONMENT}"
        raise CtlError(f"the {what} is needed: give {flag}")
    typed = getpass.getpass(f"{what}: ")
    if twice and getpass.getpass(f"{what} again: ") != typed:
        raise CtlError("the two do not match; nothing was changed")
    return take_passphrase(bytearray(os.fsencode(typed)), f"the {what}")


def _describe_inspection(found: Inspection) -> dict[str, Any]:
    costs = found.argon2
    by_passphrase = found.backend_id == PASSPHRASE_BACKEND_ID
    return {
        "file_version": found.file_version,
        "file_id": found.file_id.hex(),
        "sealed_by": "passphrase" if by_passphrase else f"key backend {found.backend_id}",
        "argon2": f"{costs.memory_kib} KiB, {costs.time_cost} passes, {costs.lanes} lanes" if costs else "",
        "size_bytes": found.size_bytes,
        "log_bytes": found.log_bytes,
        "records": {f"{_table_name(table)} v{version}": count for (table, version), count in found.records.items()},
        "to_migrate": sum(count for place, count in found.records.items() if is_outdated(*place)),
    }


def _describe_audit(audit: Audit) -> dict[str, Any]:
    return {
        "intact": True,
        "file_id": audit.file_id.hex(),
        "generation": audit.mark.generation,
        "commit_counter": audit.mark.commit_counter,
        "records": {_table_name(table): count for table, count in sorted(audit.records.items())},
        "to_migrate": audit.outdated,
        "rolled_back": audit.rollback is not None,
    }


def _table_name(table: int) -> str:
    return Table(table).name.lower() if table in RECORD_VERSIONS else f"table {table}"


def _print(output: str, data: dict[str, Any]) -> None:
    if output != "table":
        print_data(data, output)
        return
    table = RichTable(show_header=False, box=None, pad_edge=False)
    for name, value in data.items():
        shown = (
            ", ".join(f"{count} {what}" for what, count in value.items()) or "none" if isinstance(value, dict) else str(value)
        )
        table.add_row(name.replace("_", " "), shown)
    Console(soft_wrap=True).print(table)
