"""Two different things share no name: every class and every named type of the product is defined in one place."""

from __future__ import annotations

import ast
from collections import defaultdict

from tests.unit.source.product import GENERATORS, PRODUCT, name_of, read_trees

RELAY, ENDPOINT = "node/hermes_core/relay", "node/hermes_core/endpoint"

MIRRORED = {"ChatContext", "Effects", "Handshake", "Hop", "HopInput", "HopState"}
"""Parts of a chat that its node and its app each have: relay/ and endpoint/ mirror each other, and neither knows the other."""

SHARED = {
    "Chat": "what the library calls a chat for its users; the node's is the same chat one layer down",
    "Json": "one alias for what a parser of JSON or YAML gives, in packages that share no other module",
}


def defined() -> dict[str, set[str]]:
    """Folders by the names of types that their modules define."""
    places: dict[str, set[str]] = defaultdict(set)
    for path, tree in read_trees(*PRODUCT, *GENERATORS).items():
        aliases = (node for node in tree.body if isinstance(node, ast.Assign))
        names = [name_of(alias.targets[0]) for alias in aliases]
        names = [name for name in names if name[:1].isupper() and not name.isupper()]
        names += [node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
        for name in names:
            places[name].add(str(path))
    return places


def test_no_two_things_share_a_name() -> None:
    twice = {name: places for name, places in defined().items() if len(places) > 1}
    assert set(twice) == MIRRORED | set(SHARED), twice


def test_what_is_mirrored_is_in_the_node_and_in_the_app_and_nowhere_else() -> None:
    for name in MIRRORED:
        assert {place.rpartition("/")[0] for place in defined()[name]} == {RELAY, ENDPOINT}, name
