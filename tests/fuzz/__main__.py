"""Coverage-guided fuzzing for as long as asked: `python -m tests.fuzz TARGET|all [--seconds 60]` (needs the extra `fuzz`).

New inputs that reach new code are kept in tests/fuzz/corpus/TARGET; commit the ones worth keeping. A crash is written to
build/fuzz and ends the run with a code other than 0. `python -m tests.fuzz --seed-corpus` writes authentic inputs anew.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from tests.fuzz import corpus

ROOT = Path(__file__).parents[2]
FINDINGS = ROOT / "build" / "fuzz"
INSTRUMENTED = [
    "hermes_core",
    "hermes_h2",
    "hermes_front.link",
    "hermes_wire",
    "hermes_node.admin.bodies",
    "hermes_keystore.history",
    "hermes_node.keystore.passphrase",
    "hermes_operator.nodes.held_mark",
]
MAX_LEN = 8192
"""Longer than the longest seed: the fuzzer would cut it off, and an offer has two keys of ML-KEM-768."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", nargs="?", default="all", choices=["all", *corpus.list_targets()])
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--seed-corpus", action="store_true")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.seed_corpus:
        corpus.write_seeds()
        return 0
    if options.inside:
        return fuzz(options.target, options.seconds)
    for target in corpus.list_targets() if options.target == "all" else [options.target]:
        print(f"{target}: {options.seconds} s", flush=True)
        # libFuzzer ends its process itself, so that each target gets one of its own
        command = [sys.executable, "-m", "tests.fuzz", target, "--seconds", str(options.seconds), "--inside"]
        code = subprocess.run(command, cwd=ROOT, check=False).returncode
        if code:
            return code
    return 0


def fuzz(target: str, seconds: int) -> int:
    try:
        import atheris
    except ImportError:
        print("atheris is missing: pip install -e '.[fuzz]'", file=sys.stderr)
        return 2
    with atheris.instrument_imports(include=INSTRUMENTED):
        run = corpus.load_targets()[target]
    FINDINGS.mkdir(parents=True, exist_ok=True)
    folder = corpus.CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    limits = [f"-max_total_time={seconds}", f"-max_len={MAX_LEN}", "-timeout=10", "-rss_limit_mb=2048"]
    atheris.Setup(["fuzz", *limits, f"-artifact_prefix={FINDINGS}/{target}-", "-print_final_stats=0", str(folder)], run)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
