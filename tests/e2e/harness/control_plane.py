"""etcd, apiserver, controllers and scheduler as host processes."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .kubeconfig import write_kubeconfig
from .pki import write_pki
from .ports import free_port, free_ports
from .processes import Processes
from .versions import CLUSTER_DOMAIN, NODE_IP, SERVICE_CIDR
from .wait import until

if TYPE_CHECKING:
    from pathlib import Path

    from .paths import RunDir
    from .tools import Tools

READY_S = 60.0


@dataclass(frozen=True)
class ControlPlane:
    """The brain of one cluster."""

    run_dir: RunDir
    tools: Tools

    def start(self) -> str:
        """Start everything, write the kubeconfig files, and return the apiserver's address once it is ready."""
        write_pki(self.run_dir.pki)
        server = f"https://{NODE_IP}:{free_port(NODE_IP)}"
        write_kubeconfig(self.run_dir.kubeconfig, server=server, pki=self.run_dir.pki, stem="admin")
        for stem in ("controller-manager", "scheduler", "kubelet", "kube-proxy", "coredns"):
            write_kubeconfig(self.component_config(stem), server=server, pki=self.run_dir.pki, stem=stem)
        self._start_apiserver(server, self._start_etcd())
        processes = Processes(self.run_dir)

        def ready() -> bool:
            processes.require_alive("etcd")
            processes.require_alive("kube-apiserver")
            return self._answers(f"{server}/readyz")

        until("apiserver readiness", ready, within_s=READY_S, cure=f"read {processes.log('kube-apiserver')}")
        self._start_controllers()
        return server

    def component_config(self, stem: str) -> Path:
        """Return the kubeconfig file of a component."""
        return self.run_dir.pki / f"{stem}.kubeconfig"

    def _start_etcd(self) -> str:
        client, peer, metrics = free_ports(3)
        address = f"http://127.0.0.1:{client}"
        peer_address = f"http://127.0.0.1:{peer}"
        Processes(self.run_dir).start(
            "etcd",
            [
                "etcd",
                "--name=e2e",
                f"--data-dir={self.run_dir.root / 'etcd'}",
                f"--listen-client-urls={address}",
                f"--advertise-client-urls={address}",
                f"--listen-peer-urls={peer_address}",
                f"--initial-advertise-peer-urls={peer_address}",
                f"--initial-cluster=e2e={peer_address}",
                f"--listen-metrics-urls=http://127.0.0.1:{metrics}",
                "--log-level=warn",
                "--logger=zap",
            ],
        )
        return address

    def _start_apiserver(self, server: str, etcd: str) -> None:
        pki = self.run_dir.pki
        Processes(self.run_dir).start(
            "kube-apiserver",
            [
                self.tools.path("kube-apiserver"),
                f"--etcd-servers={etcd}",
                f"--bind-address={NODE_IP}",
                f"--advertise-address={NODE_IP}",
                f"--secure-port={server.rpartition(':')[2]}",
                f"--service-cluster-ip-range={SERVICE_CIDR}",
                "--authorization-mode=Node,RBAC",
                "--enable-admission-plugins=NodeRestriction",
                "--allow-privileged=true",
                f"--client-ca-file={pki / 'ca.crt'}",
                f"--tls-cert-file={pki / 'apiserver.crt'}",
                f"--tls-private-key-file={pki / 'apiserver.key'}",
                f"--kubelet-certificate-authority={pki / 'ca.crt'}",
                f"--kubelet-client-certificate={pki / 'apiserver-kubelet-client.crt'}",
                f"--kubelet-client-key={pki / 'apiserver-kubelet-client.key'}",
                "--kubelet-preferred-address-types=InternalIP",
                f"--service-account-issuer=https://kubernetes.default.svc.{CLUSTER_DOMAIN}",
                f"--service-account-key-file={pki / 'sa.pub'}",
                f"--service-account-signing-key-file={pki / 'sa.key'}",
                "--profiling=false",
            ],
        )

    def _start_controllers(self) -> None:
        pki = self.run_dir.pki
        manager, scheduler = free_ports(2)
        start = Processes(self.run_dir).start
        own = self.component_config("controller-manager")
        start(
            "kube-controller-manager",
            [
                self.tools.path("kube-controller-manager"),
                f"--kubeconfig={own}",
                f"--authentication-kubeconfig={own}",
                f"--authorization-kubeconfig={own}",
                "--bind-address=127.0.0.1",
                f"--secure-port={manager}",
                f"--cert-dir={self.run_dir.conf / 'controller-manager-certs'}",
                f"--root-ca-file={pki / 'ca.crt'}",
                f"--cluster-signing-cert-file={pki / 'ca.crt'}",
                f"--cluster-signing-key-file={pki / 'ca.key'}",
                f"--service-account-private-key-file={pki / 'sa.key'}",
                "--use-service-account-credentials=true",
                "--leader-elect=false",
                "--profiling=false",
            ],
        )
        own = self.component_config("scheduler")
        start(
            "kube-scheduler",
            [
                self.tools.path("kube-scheduler"),
                f"--kubeconfig={own}",
                f"--authentication-kubeconfig={own}",
                f"--authorization-kubeconfig={own}",
                "--bind-address=127.0.0.1",
                f"--secure-port={scheduler}",
                f"--cert-dir={self.run_dir.conf / 'scheduler-certs'}",
                "--leader-elect=false",
                "--profiling=false",
            ],
        )

    def _answers(self, url: str) -> bool:
        pki = self.run_dir.pki
        context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
        try:
            with opener.open(url, timeout=2.0) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            return False
