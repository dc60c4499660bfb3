"""`make check-alerts`: Prometheus' and Alertmanager's own judgement of the rules, their unit tests, and the mutation run."""

from __future__ import annotations

import shutil
import subprocess
import sys

from tools import generate_alerts, mutate_alerts
from tools.generated_files import ROOT, stale_files

ALERTMANAGER_EXAMPLE = "alerts/alertmanager.example.yaml"
PACKAGES = {"promtool": "prometheus", "amtool": "prometheus-alertmanager"}

COMMANDS = (
    ("promtool", "check", "rules", "--lint-fatal", generate_alerts.RULES),
    ("promtool", "test", "rules", generate_alerts.TESTS),
    ("amtool", "check-config", ALERTMANAGER_EXAMPLE),
)


def main() -> int:
    missing = [program for program in PACKAGES if shutil.which(program) is None]
    if missing:
        packages = " ".join(PACKAGES[program] for program in missing)
        sys.stderr.write(f"{', '.join(missing)} missing; install: apt-get install {packages}\n")
        return 1
    stale = stale_files(generate_alerts.render())
    if stale:
        sys.stderr.write(f"stale: {', '.join(stale)}; run: make generate\n")
        return 1
    for command in COMMANDS:
        sys.stdout.write(f"$ {' '.join(command)}\n")
        sys.stdout.flush()
        if subprocess.run(command, cwd=ROOT, check=False).returncode:  # noqa: S603 - fixed commands
            return 1
    sys.stdout.write("$ python -m tools.mutate_alerts\n")
    sys.stdout.flush()
    return mutate_alerts.main([])


if __name__ == "__main__":
    sys.exit(main())
