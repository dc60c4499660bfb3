"""The kubelet and StatefulSet controller of the fake cluster, and nodes that answer on 127.0.0.x as the admin API says."""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from hermes_core.crypto.signing import Identity
from hermes_core.keystore.mark import encode_mark, read_mark, sign_mark
from hermes_core.keystore.state import KeystoreMark
from hermes_operator.observe.secrets import decode_secret
from tests.component.operator.fake_kubernetes import FakeKubernetes, Json


@dataclass
class FakeDisk:
    """What outlives a pod: the keystore on its volume."""

    identity: str
    counter: int = 3
    generation: int = 1
    chats: int = 4
    away: int = 0
    moved: int = 0
    moves: int = 0
    witness: str = ""
    signer: Identity | None = None
    openings: list[bytes] = field(default_factory=list)
    """Ids of those that this volume knows; the last is the present one."""

    def move(self, chats: str) -> Json:
        """What is left: two chats go each time that they are told to, but for those of apps that are `away`."""
        if chats == "move":
            self.moves += 1
            self.moved += min(2, self.chats - self.away)
            self.chats = max(self.away, self.chats - 2)
        return {"sessions": 1 if self.chats > self.away else 0, "live_chats": self.chats}

    def open(self) -> None:
        """A node starts on it."""
        self.counter += 1
        self.openings.append(secrets.token_bytes(16))

    @property
    def mark(self) -> str:
        """Base64, as the admin API has it; empty for a node whose marks do not matter here."""
        if self.signer is None:
            return ""
        signed = sign_mark(self.signer, self.openings[-1], KeystoreMark(self.generation, self.counter))
        return base64.b64encode(encode_mark(signed)).decode()

    def judge(self, mark: str) -> str:
        """As a node does: once, and counting goes on above it."""
        said = read_mark(base64.b64decode(mark))
        if said.open_id in self.openings:
            return "RESUMED"
        self.openings.insert(0, said.open_id)
        self.counter = max(self.counter, said.commit_counter) + 1
        return "ROLLED_BACK"


@dataclass
class FakeNodes:
    """Pods of one mesh. `bad_images` never start; `exit_codes` by pod end its container; `silent` ones answer nothing."""

    api: FakeKubernetes
    mesh: str = "demo"
    namespace: str = "chat"
    bad_images: set[str] = field(default_factory=set)
    exit_codes: dict[str, int] = field(default_factory=dict)
    disks: dict[str, FakeDisk] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    silent: set[str] = field(default_factory=set)
    wiped: set[str] = field(default_factory=set)
    revisions: list[str] = field(default_factory=list)

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        return app

    async def _answer(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        pod = f"{self.mesh}-{int(request.transport.get_extra_info('sockname')[0].rpartition('.')[2]) - 10}"
        token = decode_secret(self.api.of("secrets", self.namespace).get(f"{self.mesh}-admin"), "token") or b""
        if request.headers.get("Authorization") != f"Bearer {token.decode()}":
            return web.json_response({"code": "AUTH_FAILED"}, status=401)
        self.asked.append(f"{request.method} {request.path} {pod}")
        if pod in self.silent:
            return web.Response(status=503, text="not now")
        chats = request.query.get("chats", "")
        answer = self._answers(f"{request.method} {request.path}", pod, await request.text(), chats)
        return web.json_response(answer) if answer is not None else web.Response(status=404)

    def _answers(self, asked: str, pod: str, body: str, chats: str) -> Json | None:
        disk = self.disks[pod]
        mark = {"generation": str(disk.generation), "commit_counter": str(disk.counter)}
        common: Json = {"node_id": pod, "identity_fingerprint": disk.identity, "keystore": mark, "live_chats": disk.chats}
        common |= {"mark": disk.mark}
        opening = {"open_id": disk.openings[-1].hex()}
        answer: Json | None = None
        match asked:
            case "POST /resume/witness":
                disk.witness = f"w{disk.counter}"
                answer = common | {"witness_id": disk.witness, "digest": "00"}
            case "GET /resume":
                answer = common | opening | {"resumed": disk.chats}
            case "POST /resume/mark":
                verdict = disk.judge(json.loads(body)["mark"])
                lost = {"rolled_back": disk.chats, "detail": "a later state"} if verdict == "ROLLED_BACK" else {}
                answer = common | opening | {"resumed": disk.chats, "verdict": verdict, "mark": disk.mark} | lost
            case "POST /resume":
                known = json.loads(body)["witness_id"] == disk.witness
                verdict = "RESUMED" if known else "RECORDS_MISSING"
                answer = common | opening | {"resumed": disk.chats, "missing": 0 if known else 4, "verdict": verdict}
                answer |= {"moved_since": disk.moved}
            case "GET /mesh/members":
                answer = {"members": [{"node_id": pod, "self": True, "version": "9.9.9"}]}
            case "POST /drain":
                answer = {"draining": True, **disk.move(chats)}
            case "POST /wipe":
                self.wiped.add(pod)
                answer = {}
        return answer

    def step(self) -> None:
        """One pass of the controller and of all kubelets."""
        body = self.api.of("statefulsets", self.namespace).get(self.mesh)
        if body is None:
            for name in self._pods():
                self.api.delete(("pods", self.namespace, name))
            return
        update = self._revision(body)
        status = body.get("status") or {"currentRevision": update}
        partition = body["spec"]["updateStrategy"]["rollingUpdate"]["partition"]
        replicas = body["spec"]["replicas"]
        self._make_claims(replicas)
        for name in [n for n in self._pods() if int(n.rpartition("-")[2]) >= replicas]:
            self.api.delete(("pods", self.namespace, name))
        for ordinal in range(replicas):
            name = f"{self.mesh}-{ordinal}"
            if name not in self._pods():
                revision = update if ordinal >= partition else status["currentRevision"]
                self._create(name, revision, body)
        for name in self._pods():
            self._run(name)
        self._replace_highest(update, partition, replicas)
        pods = self._pods()
        complete = len(pods) == replicas and all(self._ready(p) and self._of(p) == update for p in pods.values())
        current = update if complete else status["currentRevision"]
        status = {"observedGeneration": body["metadata"]["generation"], "currentRevision": current, "updateRevision": update}
        self.api.put("statefulsets", body | {"status": status})

    def _revision(self, body: Json) -> str:
        text = json.dumps(body["spec"]["template"], sort_keys=True)
        if text not in self.revisions:
            self.revisions.append(text)
        return f"{self.mesh}-rev{self.revisions.index(text)}"

    def _make_claims(self, replicas: int) -> None:
        for ordinal in range(replicas):
            name = f"keystore-{self.mesh}-{ordinal}"
            if name not in self.api.of("persistentvolumeclaims", self.namespace):
                spec = {"resources": {"requests": {"storage": "1Gi"}}}
                labels = {"hermesmesh.io/mesh": self.mesh}
                metadata = {"name": name, "namespace": self.namespace, "labels": labels}
                self.api.put("persistentvolumeclaims", {"metadata": metadata, "spec": spec})

    def _create(self, name: str, revision: str, body: Json) -> None:
        template = json.loads(self.revisions[int(revision.rpartition("rev")[2])])
        labels = body["spec"]["template"]["metadata"]["labels"] | {"controller-revision-hash": revision}
        ordinal = int(name.rpartition("-")[2])
        self.disks.setdefault(name, FakeDisk(f"identity-{name}"))
        self.disks[name].open()
        metadata = {"name": name, "namespace": self.namespace, "labels": labels}
        pod = {
            "metadata": metadata,
            "spec": template["spec"],
            "status": {"podIP": f"127.0.0.{10 + ordinal}", "phase": "Pending"},
        }
        self.api.put("pods", pod)

    def _run(self, name: str) -> None:
        pod = self._pods()[name]
        status: dict[str, Any] = {"podIP": pod["status"]["podIP"], "phase": "Running"}
        container: Json = {"name": "hermes-node", "restartCount": 0, "ready": True, "state": {"running": {}}}
        conditions = [{"type": "Ready", "status": "True"}]
        if pod["spec"]["containers"][0]["image"] in self.bad_images:
            container |= {"ready": False, "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}
            conditions = []
        elif name in self.exit_codes:
            ended = {"terminated": {"exitCode": self.exit_codes[name], "message": "it says why"}}
            container |= {"ready": False, "restartCount": 1, "state": ended}
            conditions = []
        status |= {"containerStatuses": [container], "conditions": conditions}
        self.api.put("pods", pod | {"status": status})

    def _replace_highest(self, update: str, partition: int, replicas: int) -> None:
        for ordinal in range(replicas - 1, partition - 1, -1):
            pod = self._pods().get(f"{self.mesh}-{ordinal}")
            if pod is None or (self._of(pod) == update and not self._ready(pod)):
                return
            if self._of(pod) != update:
                self.api.delete(("pods", self.namespace, pod["metadata"]["name"]))
                return

    def _pods(self) -> dict[str, Json]:
        return {name: pod for name, pod in self.api.of("pods", self.namespace).items() if name.startswith(f"{self.mesh}-")}

    @staticmethod
    def _of(pod: Json) -> str:
        return str(pod["metadata"]["labels"]["controller-revision-hash"])

    @staticmethod
    def _ready(pod: Json) -> bool:
        return bool(pod["status"].get("conditions"))
