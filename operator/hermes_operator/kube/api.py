"""The only place that calls the Kubernetes API: plain dicts in and out, one field manager, a timeout on every request."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from kubernetes.aio import client, config
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.dynamic.client import DynamicClient

from hermes_operator import names
from hermes_operator.kube.kinds import Kind, kind_of

REQUEST_TIMEOUT_S = 15.0
_NOT_FOUND, _CONFLICT, _UNPROCESSABLE, _FORBIDDEN = 404, 409, 422, 403
_MERGE_PATCH = "application/merge-patch+json"

Json = dict[str, Any]


class KubeError(Exception):
    """The API server refused a request; the message is its own."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status

    @property
    def conflict(self) -> bool:
        return self.status == _CONFLICT

    @property
    def invalid(self) -> bool:
        return self.status in {_UNPROCESSABLE, _FORBIDDEN}


class Kube:
    """Calls of the API server. Raises KubeError, or an OSError or TimeoutError when it cannot be reached."""

    def __init__(self, api: client.ApiClient) -> None:
        self._api = api
        self._dynamic = DynamicClient(api)  # type: ignore[no-untyped-call]

    @classmethod
    async def connect(cls) -> Kube:
        """In a pod with its service account, elsewhere with the kubeconfig."""
        try:
            config.load_incluster_config()  # type: ignore[no-untyped-call]
        except config.ConfigException:
            await config.load_kube_config()  # type: ignore[no-untyped-call]
        return cls(client.ApiClient())

    async def close(self) -> None:
        await self._api.close()  # type: ignore[no-untyped-call]

    async def get(self, kind: Kind, namespace: str, name: str) -> Json | None:
        try:
            return await self._call("get", kind, name=name, namespace=namespace)
        except KubeError as error:
            if error.status == _NOT_FOUND:
                return None
            raise

    async def list(self, kind: Kind, namespace: str, selector: str = "") -> list[Json]:
        found = await self._call("get", kind, namespace=namespace, label_selector=selector or None)
        # Items of a list carry neither kind nor apiVersion.
        return [{"apiVersion": kind.api_version, "kind": kind.kind} | item for item in found.get("items") or []]

    async def serves(self, kind: Kind) -> bool:
        """Whether the cluster has this API."""
        try:
            found = await self._request("get", f"/apis/{kind.group}/{kind.version}")
        except KubeError as error:
            if error.status == _NOT_FOUND:
                return False
            raise
        return any(resource.get("name") == kind.plural for resource in found.get("resources") or [])

    async def apply(self, manifest: Json) -> Json:
        """Server-side apply; fields that others set to something else are taken back."""
        kind = kind_of(manifest)
        return await self._call(
            "server_side_apply",
            kind,
            body=manifest,
            namespace=manifest["metadata"]["namespace"],
            field_manager=names.FIELD_MANAGER,
            force_conflicts=True,
        )

    async def create(self, manifest: Json) -> bool:
        """Create; False when the object exists already, which is then left as it is."""
        namespace = manifest["metadata"]["namespace"]
        try:
            await self._call("create", kind_of(manifest), body=manifest, namespace=namespace, field_manager=names.FIELD_MANAGER)
        except KubeError as error:
            if error.conflict:
                return False
            raise
        return True

    async def replace(self, manifest: Json, *, subresource: str = "") -> Json:
        """Replace; the resourceVersion in the manifest makes it fail with a conflict when somebody was faster."""
        kind, metadata = kind_of(manifest), manifest["metadata"]
        path = kind.resource().path(name=metadata["name"], namespace=metadata["namespace"])  # type: ignore[no-untyped-call]
        path += f"/{subresource}" if subresource else ""
        return await self._request("put", path, body=manifest, field_manager=names.FIELD_MANAGER)

    async def merge(self, kind: Kind, namespace: str, name: str, patch: Json) -> Json:
        """JSON merge patch."""
        return await self._call(
            "patch",
            kind,
            body=patch,
            name=name,
            namespace=namespace,
            content_type=_MERGE_PATCH,
            field_manager=names.FIELD_MANAGER,
        )

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str = "") -> None:
        """Delete; with `uid` only that very object. It is no error when it is gone."""
        body: Json = {"propagationPolicy": "Background"}
        if uid:
            body["preconditions"] = {"uid": uid}
        try:
            await self._call("delete", kind, name=name, namespace=namespace, body=body)
        except KubeError as error:
            if error.status != _NOT_FOUND and not (uid and error.conflict):
                raise

    async def _call(self, verb: str, kind: Kind, **params: Any) -> Json:
        method = getattr(self._dynamic, verb)
        return await self._read(method(kind.resource(), serialize=False, _request_timeout=REQUEST_TIMEOUT_S, **params))

    async def _request(self, verb: str, path: str, **params: Any) -> Json:
        request = self._dynamic.request(verb, path, serialize=False, _request_timeout=REQUEST_TIMEOUT_S, **params)
        return await self._read(request)

    async def _read(self, request: Any) -> Json:
        try:
            response = await request
            body: Json = await response.json()
        except ApiException as error:
            raise KubeError(error.status or 0, _message(error)) from None
        return body


def _message(error: ApiException) -> str:
    """What the API server said, without headers and traces."""
    with suppress(ValueError, TypeError):
        said = json.loads(error.body or "").get("message")
        if said:
            return str(said)
    return f"{error.status} {error.reason}"
