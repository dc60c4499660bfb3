"""What a `down` is checked for: each kind of thing with the look for it, so that a report names just what was looked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

Looks = Mapping[str, Callable[[], Iterable[object]]]


def find_leftovers(looks: Looks) -> list[str]:
    """Return a line for each thing that is still there."""
    return [f"{kind}: {found}" for kind, look in looks.items() for found in look()]


def both(one: Looks, other: Looks) -> Looks:
    """Return looks for what either of two looks for."""

    def joined(kind: str) -> Callable[[], Iterable[object]]:
        return lambda: [found for looks in (one, other) if kind in looks for found in looks[kind]()]

    return {kind: joined(kind) for kind in {**one, **other}}


def describe_clean(looks: Looks) -> str:
    """Return the line for when nothing was found."""
    if not looks:
        return "nothing here is ours, nothing was looked for"
    *most, last = looks
    return f"no {', '.join(most)} or {last} left" if most else f"no {last} left"
