"""An API server in memory, spoken to over real HTTP: enough of create, apply, patch, replace, delete, list and finalizers.

It counts writes, can refuse or drop requests, and plays the StatefulSet controller and the kubelet one step at a time.
"""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from hermes_operator.kube import kinds

Json = dict[str, Any]
Key = tuple[str, str, str]  # plural, namespace, name

RESOURCES = {(kind.group, kind.plural): kind.kind for kind in vars(kinds).values() if isinstance(kind, kinds.Kind)} | {
    ("apiextensions.k8s.io", "customresourcedefinitions"): "CustomResourceDefinition",
    ("", "namespaces"): "Namespace",
}


@dataclass
class FakeKubernetes:
    """`refuse`: status for a request, given method and path; None serves it. `apis`: groups that exist besides the usual."""

    objects: dict[Key, Json] = field(default_factory=dict)
    writes: list[str] = field(default_factory=list)
    refuse: Callable[[str, str], int | None] = lambda _method, _path: None
    apis: set[str] = field(default_factory=set)
    version: int = 100
    watchers: list[tuple[str, str, asyncio.Queue[Json | None]]] = field(default_factory=list)
    history: list[tuple[int, Key, Json]] = field(default_factory=list)

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/api", self._core_versions)
        app.router.add_get("/apis", self._groups)
        for prefix in ("/api/{version}", "/apis/{group}/{version}"):
            app.router.add_get(prefix, self._discover)
            base = prefix + "/namespaces/{namespace}/{plural}"
            app.router.add_get(base, self._list)
            app.router.add_post(base, self._create)
            for path in (base + "/{name}", base + "/{name}/{subresource}"):
                app.router.add_get(path, self._get)
                app.router.add_put(path, self._replace)
                app.router.add_patch(path, self._patch)
                app.router.add_delete(path, self._delete)
        app.middlewares.append(self._faults)
        return app

    def of(self, plural: str, namespace: str = "chat") -> dict[str, Json]:
        return {key[2]: body for key, body in self.objects.items() if key[:2] == (plural, namespace)}

    def put(self, plural: str, body: Json) -> Json:
        """Store an object as the API server would after a change."""
        key = (plural, body["metadata"]["namespace"], body["metadata"]["name"])
        old = self.objects.get(key)
        if old is not None and _without_version(old) == _without_version(body):
            return old
        self.version += 1
        metadata = body.setdefault("metadata", {})
        metadata["resourceVersion"] = str(self.version)
        metadata.setdefault("uid", f"uid-{self.version}")
        generation = old["metadata"].get("generation", 1) if old is not None else 1
        changed = old is not None and old.get("spec") != body.get("spec")
        metadata["generation"] = generation + 1 if changed else generation
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers"):
            self.objects.pop(key, None)
            self._tell("DELETED", key, body)
            self._collect_garbage(metadata["uid"])
        else:
            self.objects[key] = body
            self._tell("ADDED" if old is None else "MODIFIED", key, body)
        return body

    def _tell(self, kind: str, key: Key, body: Json) -> None:
        if kind == "DELETED":
            self.version += 1
            body = body | {"metadata": body["metadata"] | {"resourceVersion": str(self.version)}}
        event = {"type": kind, "object": copy.deepcopy(body)}
        self.history.append((self.version, key, event))
        for plural, namespace, queue in self.watchers:
            if (plural, namespace) == key[:2]:
                queue.put_nowait(event)

    def end_watches(self) -> None:
        """As an API server that restarts: every stream ends."""
        for _, _, queue in self.watchers:
            queue.put_nowait(None)

    def events(self) -> list[str]:
        return [body["reason"] for _, body in sorted(self.of("events").items())]

    @web.middleware
    async def _faults(self, request: web.Request, handler: Any) -> web.StreamResponse:
        status = self.refuse(request.method, request.path)
        if status is not None:
            return _status(status, "refused by the test")
        if request.method != "GET":
            self.writes.append(f"{request.method} {request.path.rpartition('/namespaces/')[2]}")
        response: web.StreamResponse = await handler(request)
        return response

    async def _discover(self, request: web.Request) -> web.Response:
        group = request.match_info.get("group", "")
        served = {name: kind for (its_group, name), kind in RESOURCES.items() if its_group == group}
        if not served or (group == "monitoring.coreos.com" and group not in self.apis):
            return _status(404, "the server could not find the requested resource")
        verbs = ["get", "list", "watch", "create", "patch", "delete", "update"]
        resources = [{"name": n, "kind": k, "singularName": "", "namespaced": True, "verbs": verbs} for n, k in served.items()]
        return web.json_response({"groupVersion": request.path.removeprefix("/apis/"), "resources": resources})

    async def _core_versions(self, _: web.Request) -> web.Response:
        return web.json_response({"versions": ["v1"]})

    async def _groups(self, _: web.Request) -> web.Response:
        versions = {group: "v1alpha1" if group == "hermesmesh.io" else "v1" for group, _ in RESOURCES if group}
        listed = [{"groupVersion": f"{group}/{version}", "version": version} for group, version in versions.items()]
        groups = [
            {"name": entry["groupVersion"].partition("/")[0], "preferredVersion": entry, "versions": [entry]}
            for entry in listed
        ]
        return web.json_response({"groups": groups})

    async def _list(self, request: web.Request) -> web.StreamResponse:
        if request.query.get("watch") == "true":
            return await self._watch(request)
        found = self.of(request.match_info["plural"], request.match_info["namespace"])
        selector = request.query.get("labelSelector", "")
        items = [_bare(body) for body in found.values() if _selected(body, selector)]
        return web.json_response({"items": items, "metadata": {"resourceVersion": str(self.version)}})

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        queue: asyncio.Queue[Json | None] = asyncio.Queue()
        watcher = (request.match_info["plural"], request.match_info["namespace"], queue)
        since = int(request.query.get("resourceVersion") or self.version)
        for version, key, past in self.history:
            if version > since and key[:2] == watcher[:2]:
                queue.put_nowait(past)  # what happened between the list and this watch
        self.watchers.append(watcher)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        try:
            while (event := await queue.get()) is not None:
                if _selected(event["object"], request.query.get("labelSelector", "")):
                    await response.write(json.dumps(event).encode() + b"\n")
        finally:
            self.watchers.remove(watcher)
        return response

    async def _get(self, request: web.Request) -> web.Response:
        found = self.objects.get(_key(request))
        return web.json_response(found) if found is not None else _status(404, "not found")

    async def _create(self, request: web.Request) -> web.Response:
        body = await request.json()
        plural, namespace = request.match_info["plural"], request.match_info["namespace"]
        if (plural, namespace, body["metadata"]["name"]) in self.objects:
            return _status(409, "already exists")
        return web.json_response(self.put(plural, body), status=201)

    async def _replace(self, request: web.Request) -> web.Response:
        body, key = await request.json(), _key(request)
        old = self.objects.get(key)
        if old is None:
            return _status(404, "not found")
        if body["metadata"].get("resourceVersion") not in {None, old["metadata"]["resourceVersion"]}:
            return _status(409, "the object has been modified")
        merged = old | {"status": body.get("status", {})} if request.match_info.get("subresource") == "status" else body
        return web.json_response(self.put(key[0], copy.deepcopy(merged)))

    async def _patch(self, request: web.Request) -> web.Response:
        body, key = json.loads(await request.read()), _key(request)
        old = self.objects.get(key)
        if request.content_type == "application/apply-patch+yaml":
            assert request.query["fieldManager"] == "hermes-operator"
            return web.json_response(self.put(key[0], _merged(old or {}, body, drop_null=False)))
        if old is None:
            return _status(404, "not found")
        if body.get("metadata", {}).get("uid") not in {None, old["metadata"]["uid"]}:
            return _status(409, "uid differs")
        return web.json_response(self.put(key[0], _merged(old, body, drop_null=True)))

    async def _delete(self, request: web.Request) -> web.Response:
        body = json.loads(await request.read() or b"{}")
        return self.delete(_key(request), (body.get("preconditions") or {}).get("uid"))

    def delete(self, key: Key, uid: str | None = None) -> web.Response:
        old = self.objects.get(key)
        if old is None:
            return _status(404, "not found")
        if uid not in {None, old["metadata"]["uid"]}:
            return _status(409, "uid differs")
        if old["metadata"].get("finalizers"):
            self.put(key[0], _merged(old, {"metadata": {"deletionTimestamp": _now()}}, drop_null=False))
        else:
            del self.objects[key]
            self._tell("DELETED", key, old)
            self._collect_garbage(old["metadata"]["uid"])
        return web.json_response({})

    def _collect_garbage(self, uid: str) -> None:
        owned = [k for k, b in self.objects.items() if uid in {o["uid"] for o in b["metadata"].get("ownerReferences") or []}]
        for key in owned:
            self.delete(key)


def _now() -> str:
    from datetime import UTC, datetime

    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _key(request: web.Request) -> Key:
    return request.match_info["plural"], request.match_info["namespace"], request.match_info["name"]


def _bare(body: Json) -> Json:
    return {key: value for key, value in body.items() if key not in {"kind", "apiVersion"}}


def _selected(body: Json, selector: str) -> bool:
    labels = body["metadata"].get("labels") or {}
    terms = [term.partition("=") for term in selector.split(",") if term]
    return all(labels.get(name) == value if equals else name in labels for name, equals, value in terms)


def _merged(old: Any, new: Any, *, drop_null: bool) -> Any:
    if not isinstance(old, dict) or not isinstance(new, dict):
        return copy.deepcopy(new)
    merged = copy.deepcopy(old)
    for name, value in new.items():
        if value is None and drop_null:
            merged.pop(name, None)
        else:
            merged[name] = _merged(merged.get(name), value, drop_null=drop_null)
    return merged


def _without_version(body: Json) -> Json:
    metadata = {k: v for k, v in body["metadata"].items() if k not in {"resourceVersion", "generation", "uid"}}
    return body | {"metadata": metadata}


def _status(status: int, message: str) -> web.Response:
    return web.json_response({"kind": "Status", "message": message, "code": status}, status=status)
