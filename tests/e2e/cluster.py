#!/usr/bin/env python3
"""Start, inspect and end a Kubernetes for the end-to-end tests; `cluster.py --help` tells how."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.e2e.harness.cli import main

if __name__ == "__main__":
    sys.exit(main())
