#!/usr/bin/env python3
"""The whole path on a real Kubernetes: `python -m tests.e2e.run`; `--help` tells the phases."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.e2e.harness.choose import FAMILIES, KINDS, choose_cluster
from tests.e2e.harness.errors import HarnessError
from tests.e2e.harness.interruption import finishing, handle_signals
from tests.e2e.harness.kind.family import Family
from tests.e2e.harness.lock import refuse_second
from tests.e2e.harness.paths import CHECKOUT, cache_root
from tests.e2e.harness.progress import say
from tests.e2e.harness.undo import collect
from tests.e2e.machines.drain import drain_machine
from tests.e2e.machines.families import reach_in_each_family, reach_mesh_in_each_family
from tests.e2e.machines.freeze import freeze_machine
from tests.e2e.machines.loss import lose_machine
from tests.e2e.machines.mesh import spread_mesh
from tests.e2e.machines.policies import enforce_policies
from tests.e2e.machines.reboot import reboot_machine
from tests.e2e.phases import diagnostics
from tests.e2e.phases.bad_input import seal_with_wrong_passphrase, tamper_with_keystore
from tests.e2e.phases.bad_manifests import refuse_bad_manifests
from tests.e2e.phases.cluster_life import build_image, end_cluster, start_cluster
from tests.e2e.phases.context import REPLICAS, Run
from tests.e2e.phases.dashboards import query_dashboards
from tests.e2e.phases.deletion import delete_mesh
from tests.e2e.phases.mesh_ready import start_mesh
from tests.e2e.phases.monitoring import judge_alerts, start_monitoring
from tests.e2e.phases.operator_install import install_operator, uninstall_operator
from tests.e2e.phases.rolling_restart import restart_verified
from tests.e2e.phases.runner import FAILED, Phase, format_results, run_phases, write_junit
from tests.e2e.phases.scenario_job import survive_sigkill

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.e2e.harness.cluster import Cluster

OUT = CHECKOUT / "build" / "e2e"  # a folder in it for each kind of cluster, and family but IPv4

PHASES = (
    Phase("cluster up", start_cluster),
    Phase("build and load the image", build_image),
    Phase("helm install, operator ready", install_operator),
    Phase("example mesh of three ready", start_mesh),
    Phase("bad manifests refused", refuse_bad_manifests),
    Phase("Prometheus scrapes mesh and operator", start_monitoring),
    Phase("scenario Job survives SIGKILL", survive_sigkill),
    Phase("verified rolling restart under a live chat", restart_verified),
    Phase("every dashboard query has data", query_dashboards),
    Phase("no alert fired", judge_alerts),
    Phase("wrong passphrase: sealed, cured", seal_with_wrong_passphrase),
    Phase("damaged keystore: refused", tamper_with_keystore),
    Phase("mesh deleted, nothing left", delete_mesh, clears=True),
    Phase("helm uninstall, nothing left", uninstall_operator, clears=True),
)
# What another kind of cluster shows that the whole run passed on: its own life, and a chat that survives there.
SCENARIO_PHASES = (
    Phase("cluster up", start_cluster),
    Phase("build and load the image", build_image),
    Phase("helm install, operator ready", install_operator),
    Phase("example mesh of three ready", start_mesh),
    Phase("scenario Job survives SIGKILL", survive_sigkill),
    Phase("mesh deleted, nothing left", delete_mesh, clears=True),
    Phase("helm uninstall, nothing left", uninstall_operator, clears=True),
)
MACHINE_PHASES = (
    Phase("cluster up", start_cluster),
    Phase("build and load the image", build_image),
    Phase("helm install, operator ready", install_operator),
    Phase("mesh spread over the machines", spread_mesh),
    Phase("network policies enforced", enforce_policies),
    Phase("a machine is drained", drain_machine),
    Phase("a machine reboots", reboot_machine),
    Phase("a machine stands still", freeze_machine),
    Phase("a machine is lost for good", lose_machine),
)
FAMILY_PHASES = (
    Phase("cluster up", start_cluster),
    Phase("build and load the image", build_image),
    Phase("pods, Services, names in each family", reach_in_each_family),
    Phase("helm install, operator ready", install_operator),
    Phase("example mesh of three ready", start_mesh),
    Phase("the mesh answers in each family", reach_mesh_in_each_family),
    Phase("scenario Job survives SIGKILL", survive_sigkill),
)
PLANS = {"whole": PHASES, "scenario": SCENARIO_PHASES, "machines": MACHINE_PHASES, "families": FAMILY_PHASES}
# machines: one for each node of the mesh beside the control plane, which takes none; families: one pod asks another elsewhere.
NEEDED_NODES = {"machines": REPLICAS + 1, "families": 2}
END = Phase("cluster down, machine clean", end_cluster, always=True)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    listed = "\n".join(f"{plan}:\n" + "\n".join(f"  {it.name}" for it in (*phases, END)) for plan, phases in PLANS.items())
    parser = argparse.ArgumentParser(
        prog="python -m tests.e2e.run",
        description=__doc__,
        epilog=f"phases of each plan\n\n{listed}\n\nWhat was found out is in {OUT.relative_to(CHECKOUT)}/CLUSTER/.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--cluster", choices=KINDS, default="local", help="kind of cluster (default: local)")
    parser.add_argument("--nodes", type=int, default=1, help="how many nodes (kind only; default: 1)")
    parser.add_argument("--family", choices=FAMILIES, default="ipv4", help="of addresses (kind only; default: ipv4)")
    parser.add_argument("--plan", choices=tuple(PLANS), default="whole", help="which phases (default: whole)")
    parser.add_argument("--built", action="store_true", help="take the image that the run before built, and build none")
    parser.add_argument("--keep", action="store_true", help="leave cluster, operator and mesh at the end, also after a failure")
    parser.add_argument("--set", dest="values", action="append", default=[], metavar="KEY=VALUE", help="a value for the chart")
    options = parser.parse_args(argv)
    needed = NEEDED_NODES.get(options.plan)
    if needed is not None and (options.cluster != "kind" or options.nodes < needed):
        parser.error(f"--plan {options.plan} needs --cluster kind with --nodes {needed} at least")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Run all phases; 0 when every one passed."""
    options = parse(argv)
    handle_signals()  # so that a run that is told to end takes its cluster down
    try:
        cluster = choose_cluster(options.cluster, options.nodes, options.family)
        # A second run would fill, and end, the cluster of the first; one of another kind has nothing in common with it.
        lock = cache_root() / f"e2e-run-{options.cluster}.lock"
        with refuse_second(lock, f"another end-to-end run on {options.cluster}"), finishing():
            return _run(options, cluster)
    except HarnessError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted before anything was begun\n")
        return 130


def name_folder(cluster: str, family: str) -> str:
    """Return the folder for what a run finds out; runs of several families, one after the other, keep theirs."""
    return cluster if family == Family.IPV4 else f"{cluster}-{family}"


def _run(options: argparse.Namespace, cluster: Cluster) -> int:
    run = Run(cluster, OUT / name_folder(options.cluster, options.family), tuple(options.values), built=options.built)
    results = run_phases(run, choose_phases(options.plan, keep=options.keep), _dump)
    if options.keep:
        say(tell_kept(run))
    table = format_results(results)
    if not run.refused:
        write_junit(results, run.out / "junit.xml")
        run.write("result.txt", table)
    sys.stdout.write(table + "\n")
    return 1 if any(result.outcome == FAILED for result in results) else 0


def choose_phases(plan: str, *, keep: bool) -> tuple[Phase, ...]:
    """Return the phases of a plan and the end; what is kept is neither ended nor emptied."""
    return tuple(phase for phase in PLANS[plan] if not phase.clears) if keep else (*PLANS[plan], END)


def tell_kept(run: Run) -> str:
    """Return what became of the cluster that was to be kept."""
    end = f"`make e2e-down CLUSTER={run.cluster.name}`"
    if run.up:
        return f"kept: export KUBECONFIG={run.cluster.kubeconfig}; end it with {end}"
    return "nothing to keep: " + ("it did not come up, and was taken down" if run.owned else "nothing was begun")


def _dump(run: Run) -> None:
    """Collect what helps, unless there is nothing of this run."""
    if not run.refused:
        collect("diagnostics", lambda: diagnostics.dump(run))


if __name__ == "__main__":
    sys.exit(main())
