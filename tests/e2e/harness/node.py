"""The one node: kubelet and kube-proxy as host processes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .ports import free_port, free_ports
from .processes import Processes
from .versions import CLUSTER_DOMAIN, DNS_SERVICE_IP, NODE_IP, NODE_NAME, POD_CIDR

if TYPE_CHECKING:
    from pathlib import Path

    from .paths import RunDir
    from .tools import Tools


@dataclass(frozen=True)
class Node:
    """The machine that runs the pods: this one."""

    run_dir: RunDir
    tools: Tools

    def start(self) -> None:
        """Start kubelet and kube-proxy; readiness is the cluster's to await."""
        start = Processes(self.run_dir).start
        start(
            "kubelet",
            [
                self.tools.path("kubelet"),
                f"--config={self._write_kubelet_config()}",
                f"--kubeconfig={self.run_dir.pki / 'kubelet.kubeconfig'}",
                f"--hostname-override={NODE_NAME}",
                f"--node-ip={NODE_IP}",
                f"--root-dir={self.run_dir.kubelet}",
                f"--cert-dir={self.run_dir.kubelet / 'pki'}",
            ],
        )
        start("kube-proxy", [self.tools.path("kube-proxy"), f"--config={self._write_proxy_config()}"])

    def _write_kubelet_config(self) -> Path:
        pki = self.run_dir.pki
        resolv = self.run_dir.conf / "resolv.conf"
        resolv.write_text("# nothing beyond the cluster is resolved\n")
        socket = f"unix://{self.run_dir.containerd_socket}"
        healthz = free_port()
        config = {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": NODE_IP,
            "port": free_port(NODE_IP),
            "readOnlyPort": 0,
            "healthzBindAddress": "127.0.0.1",
            "healthzPort": healthz,
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(pki / "ca.crt")},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": str(pki / "kubelet.crt"),
            "tlsPrivateKeyFile": str(pki / "kubelet.key"),
            "clusterDNS": [DNS_SERVICE_IP],
            "clusterDomain": CLUSTER_DOMAIN,
            "resolvConf": str(resolv),
            "containerRuntimeEndpoint": socket,
            "imageServiceEndpoint": socket,
            "podLogsDir": str(self.run_dir.logs / "pods"),
            "volumePluginDir": str(self.run_dir.kubelet / "plugins-volume"),
            # The machines this must run on have cgroup v1 and no systemd.
            "failCgroupV1": False,
            "cgroupDriver": "cgroupfs",
            "cgroupsPerQOS": False,
            "enforceNodeAllocatable": [],
            "failSwapOn": False,
            "oomScoreAdj": 0,
            # A full disk elsewhere on the machine must not evict the pods under test, nor their only image.
            "evictionHard": {"memory.available": "0%", "nodefs.available": "0%", "imagefs.available": "0%"},
            "imageGCHighThresholdPercent": 100,
            "imageGCLowThresholdPercent": 99,
            # Quick restarts after a SIGKILL; the default of 10 s and doubling would dominate every test.
            "crashLoopBackOff": {"maxContainerRestartPeriod": "2s"},
            "nodeStatusUpdateFrequency": "5s",
            "syncFrequency": "10s",
            "fileCheckFrequency": "60s",
        }
        path = self.run_dir.conf / "kubelet.json"
        path.write_text(json.dumps(config, indent=1))
        return path

    def _write_proxy_config(self) -> Path:
        healthz, metrics = free_ports(2)
        config = {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "iptables",
            "bindAddress": NODE_IP,
            "hostnameOverride": NODE_NAME,
            "clientConnection": {"kubeconfig": str(self.run_dir.pki / "kube-proxy.kubeconfig")},
            "clusterCIDR": POD_CIDR,
            "healthzBindAddress": f"127.0.0.1:{healthz}",
            "metricsBindAddress": f"127.0.0.1:{metrics}",
            "nodePortAddresses": [f"{NODE_IP}/32"],
            "oomScoreAdj": 0,
            "iptables": {"localhostNodePorts": False, "minSyncPeriod": "0s", "syncPeriod": "30s"},
            # Zeros: leave the machine's connection tracking limits as they are.
            "conntrack": {
                "maxPerCore": 0,
                "min": 0,
                "tcpEstablishedTimeout": "0s",
                "tcpCloseWaitTimeout": "0s",
            },
        }
        path = self.run_dir.conf / "kube-proxy.json"
        path.write_text(json.dumps(config, indent=1))
        return path
