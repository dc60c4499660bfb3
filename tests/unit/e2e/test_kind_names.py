"""CoreDNS of a kind cluster answers for what is inside, and says no to the rest."""

from __future__ import annotations

import pytest

from tests.e2e.harness.errors import HarnessError
from tests.e2e.harness.kind.names import refuse_beyond

BEFORE = """\
.:53 {
    ready
    forward . /etc/resolv.conf {
       max_concurrent 1000
    }
    cache 30
}
"""
AFTER = """\
cluster.local:53 in-addr.arpa:53 ip6.arpa:53 {
    ready
    cache 30
}
.:53 {
    errors
    template ANY ANY {
        rcode NXDOMAIN
    }
}
"""


def test_the_way_out_is_replaced_and_nothing_else() -> None:
    assert refuse_beyond(BEFORE) == AFTER


def test_a_way_out_without_settings_is_replaced_too() -> None:
    short = BEFORE.replace(" {\n       max_concurrent 1000\n    }", "")
    assert refuse_beyond(short) == AFTER


def test_a_configuration_without_one_is_no_longer_known() -> None:
    with pytest.raises(HarnessError):
        refuse_beyond(AFTER)
