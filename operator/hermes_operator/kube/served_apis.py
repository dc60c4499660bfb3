"""Which optional APIs the cluster has."""

from __future__ import annotations

from datetime import datetime, timedelta

from hermes_operator.kube.api import Kube
from hermes_operator.kube.kinds import Kind

# How long an answer is believed.
BELIEVED_FOR = timedelta(seconds=300)


class ServedApis:
    """Asks the API server, and remembers its answers for a while."""

    def __init__(self, api: Kube) -> None:
        self._api = api
        self._answers: dict[Kind, tuple[bool, datetime]] = {}

    async def has(self, kind: Kind, now: datetime) -> bool:
        answer = self._answers.get(kind)
        if answer is None or now - answer[1] > BELIEVED_FOR:
            answer = self._answers[kind] = (await self._api.serves(kind), now)
        return answer[0]
