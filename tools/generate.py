"""All generators in one run: `python -m tools.generate [--check] [NAME…]`. A new generator is one line in GENERATORS."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass

from tests.reference import make_vectors
from tools import (
    fill_crd_numbers,
    generate_alerts,
    generate_chart,
    generate_configuration,
    generate_dashboards,
    generate_errors,
    generate_hermesmesh,
    generate_hop_states,
    generate_metrics,
    generate_proto,
    generate_readme,
    prometheus_config,
)
from tools.generated_files import Files, stale_files, write_files


@dataclass(frozen=True)
class Generator:
    """`check` gives the names of files that are not what `generate` would write."""

    generate: Callable[[], None]
    check: Callable[[], list[str]]


def _text(render: Callable[[], Files]) -> Generator:
    return Generator(lambda: write_files(render()), lambda: stale_files(render()))


def _command(main: Callable[[list[str]], int], what: str) -> Generator:
    """A module that has a command line of its own with --check."""
    return Generator(lambda: _ran(main([])), lambda: [what] if main(["--check"]) else [])


def _ran(exit_code: int) -> None:
    if exit_code:
        raise SystemExit(exit_code)


GENERATORS: dict[str, Generator] = {
    "protobuf": Generator(generate_proto.generate, generate_proto.check),
    "configuration": _text(generate_configuration.render),
    "vectors": _command(make_vectors.main, "tests/vectors"),
    "errors": _text(generate_errors.render),
    "hop-states": _text(generate_hop_states.render),
    "crd": _text(fill_crd_numbers.render),
    "hermesmesh": _text(generate_hermesmesh.render),
    "metrics": _text(generate_metrics.render),
    "alerts": _text(generate_alerts.render),
    "dashboards": _text(generate_dashboards.render),
    "prometheus": _text(prometheus_config.render),
    "readme": Generator(generate_readme.generate, generate_readme.check),
    # Last: it copies what the others made.
    "chart": Generator(generate_chart.generate, generate_chart.check),
}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="only compare; exit 1 when a file is stale")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of: {', '.join(GENERATORS)} (all when absent)")
    given = parser.parse_args(arguments)
    unknown = set(given.names) - GENERATORS.keys()
    if unknown:
        parser.error(f"no generator {', '.join(sorted(unknown))}; there are {', '.join(GENERATORS)}")
    stale: list[str] = []
    for name, generator in GENERATORS.items():
        if given.names and name not in given.names:
            continue
        if given.check:
            stale += generator.check()
        else:
            generator.generate()
    for name in stale:
        sys.stderr.write(f"stale: {name}; run: make generate\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
