"""The `kind` cluster: one or several nodes, each a container of an engine of our own; no registry, no other Docker."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING

from . import host_settings, remains
from .cluster import do_nothing
from .commands import run
from .errors import HarnessError, RefusedError
from .images import ImageBuilder
from .interruption import finishing, obey_noted
from .kind.configuration import build_configuration
from .kind.engine import Engine
from .kind.family import Family, family_of
from .kind.names import keep_names_inside
from .kind.node_image import TAG, NodeImage
from .kind.node_logs import collect_engine_logs, collect_node_logs, find_complaints
from .kind.release_archive import HELPER, find_tag
from .kind.subnets import Subnets, free_subnets
from .kind.teardown import KindTeardown
from .kubectl import Kubectl, is_ready
from .leftovers import both
from .lock import refuse_second
from .machine import require_root, use_system_path
from .packages import DOCKER_CLIENT, IMAGES, KIND, ensure_packages
from .paths import Cache, RunDir
from .probe import other_versions, prove_usable
from .processes import Processes
from .progress import phase, say
from .tools import KIND_TOOLS, Tools
from .undo import collect, taken_down_on_failure
from .versions import API_SERVER_PORT, CLUSTER_DOMAIN, CLUSTER_NAME, KUBERNETES_VERSION

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Sequence

    from .kubectl import Manifest
    from .leftovers import Looks

CREATE_S = 600.0
READY = "300s"
NETWORK = "kind"  # kind takes a network of that name when it is there
CONTROL_PLANE = f"{CLUSTER_NAME}-control-plane"
LABEL = f"label=io.x-k8s.kind.cluster={CLUSTER_NAME}"
LOOKUP = ("nslookup", f"kubernetes.default.svc.{CLUSTER_DOMAIN}")
END_IT = "run `make e2e-down CLUSTER=kind`"
AT_WORK = "another `up` or `down` of the kind cluster"


@dataclass(frozen=True)
class KindCluster:
    """Implements `Cluster` with the run folder as its only state, so any process can take it over."""

    nodes: int = 1
    family: Family = Family.IPV4
    cache: Cache = field(default_factory=Cache.default)
    run_dir: RunDir = field(default_factory=lambda: RunDir.default("-kind"))
    name: str = "kind"
    pods_reachable_from_host: bool = True

    @property
    def tools(self) -> Tools:
        """The built programs."""
        return Tools(self.cache)

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.run_dir.kubeconfig

    @property
    def kubectl(self) -> Kubectl:
        """kubectl pointed at this cluster."""
        return Kubectl(self.tools.path("kubectl"), self.kubeconfig)

    @property
    def helm(self) -> Path:
        """The helm program."""
        return self.tools.path("helm")

    @property
    def engine(self) -> Engine:
        """The engine whose containers are the nodes."""
        return Engine(self.run_dir)

    def up(self, begun: Callable[[], None] = do_nothing) -> None:
        """Start the cluster; on any failure take it down again, but keep the logs."""
        self._prepare()
        with refuse_second(self.run_dir.lock, AT_WORK):
            ailment = self._find_ailment()
            if ailment is None:
                self._require_same()
                say("the cluster is up already")
                return
            remains.refuse_ailing(self.run_dir, ailment, cure=f"see `cluster.py status --cluster kind`, then {END_IT}")
            ensure_kind_packages()
            self.tools.ensure(KIND_TOOLS)
            NodeImage.default(self.cache).ensure()
            if self.run_dir.root.exists():
                with phase("clean up after an earlier run"):
                    self._take_down()
                obey_noted()
            begun()
            up = phase(f"cluster up, {self.nodes} nodes, {self.family}")
            with up, taken_down_on_failure(self.run_dir, self._give_up, cure=END_IT):
                # The engine's networks and the link have version 4 in any case.
                self._start([free_subnets(version) for version in sorted({4, *self.family.versions})])
                self.run_dir.came_up.touch()

    def down(self) -> None:
        """End the cluster and its engine."""
        self._prepare()
        with refuse_second(self.run_dir.lock, AT_WORK), phase("cluster down"), finishing():
            self._teardown().all()
            NodeImage.default(self.cache).clean_up()

    def looks(self) -> Looks:
        """Return what `down` is checked for."""
        use_system_path()
        of_the_image = KindTeardown(NodeImage.default(self.cache).run_dir).looks()
        return both(self._teardown().looks(), of_the_image)

    def status(self) -> list[str]:
        """Return the engine's processes, and what Kubernetes says of nodes and pods."""
        processes = Processes(self.run_dir)
        lines = [f"{'runs' if processes.alive(name) else 'GONE'}  {name}" for name in processes.names()]
        if not lines:
            return ["no cluster; start one with `cluster.py up --cluster kind`"]
        lines += self.kubectl.attempt("get", "nodes,pods", "-A", "-o", "wide").stdout.splitlines()
        return [*lines, f"engine: DOCKER_HOST=unix://{self.engine.socket}", f"kubeconfig: {self.kubeconfig}"]

    def build_and_load(self, context: Path, tag: str) -> None:
        """Build with buildah, and load into the nodes when the cluster is up."""
        self._prepare()
        ensure_packages(IMAGES)
        archive = self._builder.build_image(context, tag)
        if self._find_ailment() is None:
            self.load_image(str(archive))
        else:
            say(f"no cluster is up; built {archive}")

    def load_image(self, image: str) -> None:
        """Load an archive file, or the archive of a tag that `build_image` made, into every node."""
        archive = Path(image) if Path(image).is_file() else self._builder.archive(image)
        if not archive.is_file():
            raise HarnessError(f"no archive for {image}", "run `cluster.py build-image --cluster kind` first")
        with phase(f"load {archive.name} into {len(self.node_names())} nodes"):
            self._kind("load", "image-archive", archive, "--name", CLUSTER_NAME)

    def collect_logs(self, folder: Path) -> list[str]:
        """Collect the logs of the engine, of every node and of the pods on it."""
        collect_engine_logs(self.run_dir, folder)
        if Processes(self.run_dir).alive("dockerd"):
            collect_node_logs(self.engine, self.node_names(), folder)
        return find_complaints(folder)

    def run_on_node(self, node: str, argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run a program in a node's container."""
        return self.engine.attempt("exec", node, *argv)

    def ctr(self) -> list[str]:
        """Return the beginning of a ctr command inside a node."""
        return ["ctr", "--namespace", "k8s.io"]

    def node_names(self) -> list[str]:
        """Return the names of the nodes, which are those of their containers."""
        return sorted(self.engine.attempt("ps", "--all", "--filter", LABEL, "--format", "{{.Names}}").stdout.split())

    @property
    def _builder(self) -> ImageBuilder:
        return ImageBuilder(self.cache, self.name)

    def _start(self, blocks: list[Subnets]) -> None:
        self.run_dir.make()
        host_settings.remember(self.run_dir)
        with phase("engine"):
            self.engine.start()
            self._create_network(blocks)
            self.engine.namespace.connect(blocks)
        with phase("load the node image"):
            self.engine.run("load", "--quiet", "--input", NodeImage.default(self.cache).archive)
        with phase(f"kind create cluster, {self.nodes} nodes"):
            self._create(blocks)
        with phase("on every node a pod runs and resolves names"):
            self._lead_to_nodes()
            keep_names_inside(self.kubectl)
            prove_usable(self.kubectl, self.node_names(), self._helper_image(), LOOKUP)

    def _create_network(self, blocks: list[Subnets]) -> None:
        words = [word for subnets in blocks for word in ("--subnet", str(subnets.nodes))]
        version_6 = ["--ipv6"] if 6 in self.family.versions else []
        self.engine.run("network", "create", *version_6, *words, NETWORK)

    def _create(self, blocks: list[Subnets]) -> None:
        config = self.run_dir.conf / "kind.json"
        config.write_text(json.dumps(build_configuration(blocks, self.nodes, self.family), indent=1))
        words: list[str | Path] = ["--name", CLUSTER_NAME, "--image", TAG, "--config", config, "--kubeconfig", self.kubeconfig]
        self._kind("create", "cluster", *words, "--wait", READY, "--retain")
        # kind's own address is in the engine's namespace; the node's is reachable from there and from here.
        context = f"kind-{CLUSTER_NAME}"
        server = f"https://{self._address_for_url(CONTROL_PLANE)}:{API_SERVER_PORT}"
        self.kubectl.run("config", "set-cluster", context, f"--server={server}")

    def _lead_to_nodes(self) -> None:
        for node in self._kubernetes_nodes():
            listed = [entry["address"] for entry in node["status"]["addresses"] if entry["type"] == "InternalIP"]
            addresses = {address.version: address for address in map(ip_address, listed)}
            for pods in map(ip_network, node["spec"]["podCIDRs"]):
                self.engine.namespace.lead_to_pods(pods, addresses[pods.version])

    def _helper_image(self) -> str:
        listed = self.run_on_node(CONTROL_PLANE, [*self.ctr(), "images", "list", "--quiet"])
        return find_tag(listed.stdout.split(), HELPER)

    def _address_for_url(self, node: str) -> str:
        """Return a node's address of the cluster's first version."""
        version = self.family.versions[0]
        form = "{{.NetworkSettings.Networks." + NETWORK + (".IPAddress}}" if version == 4 else ".GlobalIPv6Address}}")
        address = self.engine.run("inspect", "--format", form, node)
        return address if version == 4 else f"[{address}]"

    def _kubernetes_nodes(self) -> list[Manifest]:
        nodes: list[Manifest] = (self.kubectl.get("nodes") or {"items": []})["items"]
        return nodes

    def _find_ailment(self) -> str | None:
        """Return why it is not up, or None when it is."""
        if not Processes(self.run_dir).alive("dockerd"):
            return "its engine ended"
        nodes = self._kubernetes_nodes()
        if not nodes:
            return "its API server does not answer"
        ailing = [node["metadata"]["name"] for node in nodes if not is_ready(node)]
        return f"node {', '.join(ailing)} is not" if ailing else None

    def _require_same(self) -> None:
        """The cluster that is up is what was asked for."""
        nodes = self._kubernetes_nodes()
        family = family_of(tuple(ip_network(pods).version for pods in nodes[0]["spec"]["podCIDRs"]))
        if (len(nodes), family) != (self.nodes, self.family):
            found, wanted = f"NODES={len(nodes)} and {family}", f"NODES={self.nodes} and {self.family}"
            raise RefusedError(f"a cluster with {found} is up, not {wanted}", f"{END_IT} first")
        others = other_versions(nodes, KUBERNETES_VERSION)
        if others:
            raise RefusedError(f"not {KUBERNETES_VERSION}: {', '.join(others)}", f"{END_IT} first")

    def _kind(self, *words: str | Path) -> None:
        run(
            self.engine.namespace.argv(self.tools.path("kind"), *words),
            env={**self.engine.environment, "TMPDIR": str(self.run_dir.conf)},
            timeout_s=CREATE_S,
            cure=f"read the logs of the nodes in {self.run_dir.kept_logs}",
        )

    def _keep_node_logs(self) -> None:
        if Processes(self.run_dir).alive("dockerd"):
            collect_node_logs(self.engine, self.node_names(), self.run_dir.logs)

    def _give_up(self) -> None:
        collect("logs of the nodes", self._keep_node_logs)
        self._take_down()

    def _take_down(self) -> None:
        with finishing():
            self._teardown().all()

    def _teardown(self) -> KindTeardown:
        return KindTeardown(self.run_dir)

    def _prepare(self) -> None:
        require_root()
        use_system_path()


def ensure_kind_packages() -> None:
    """Install what engine and node image need."""
    ensure_packages(KIND)
    ensure_packages(DOCKER_CLIENT)


def build_node_image(cache: Cache) -> None:
    """Make everything that a cluster needs, so that the next `up` only starts it."""
    require_root()
    use_system_path()
    ensure_kind_packages()
    Tools(cache).ensure(KIND_TOOLS)
    image = NodeImage.default(cache)
    say(f"{'built' if image.ensure() else 'there already:'} {image.archive}")
