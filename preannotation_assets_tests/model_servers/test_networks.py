"""Where an endpoint is, by its address alone."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.errors import SettingsError
from preannotation_assets.model_servers.addresses import OLLAMA
from preannotation_assets.model_servers.networks import Reach, host_of, reach_of

PRIVATE_BLOCKS = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10")


def reach(host: str, **environment: str) -> Reach:
    return reach_of(f"http://{host}:8000", environment)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.8.9.10", "localhost", "LOCALHOST", "localhost.", "gpu.localhost", "[::1]",
        "[::ffff:127.0.0.1]",
    ],
)  # fmt: skip
def test_this_machine(host: str) -> None:
    assert reach(host) is Reach.LOOPBACK


@pytest.mark.parametrize(
    "host",
    [
        "10.0.0.7", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.1.1", "100.64.0.1",
        "100.127.255.255", "[fe80::1]", "[fe80::1%25eth0]", "[fd7a:115c:a1e0::1]", "[fc00::1]",
        "[::ffff:10.0.0.1]", "dgx", "DGX", "spark_1", "dgx.local", "dgx.local.", "vllm.ai.svc.cluster.local",
        "gpu.home.arpa", "gpu.internal", "dgx.tailnet-name.ts.net",
    ],
)  # fmt: skip
def test_a_private_network(host: str) -> None:
    assert reach(host) is Reach.PRIVATE


@pytest.mark.parametrize(
    "host",
    [
        "8.8.8.8", "172.15.255.255", "172.32.0.1", "100.63.255.255", "100.128.0.1", "192.169.0.1", "11.0.0.1",
        "[2001:4860:4860::8888]", "[fec0::1]", "[::ffff:8.8.8.8]", "example.com", "dgx.lab.example.com",
        "local.example.com", "notlocal.com", "mylocal.evil.com", "evil-ts.net", "ts.net.evil.com",
        # Names without a dot of their own, which are no names of the own network.
        "ai.", "134744072", "0x08080808", "8.8.2056", "0x8.8.8.8",
        # The client reads it as evil.com.
        "evil\u3002com", "evil\uff0ecom",
    ],
)  # fmt: skip
def test_anywhere(host: str) -> None:
    assert reach(host) is Reach.PUBLIC


@given(st.ip_addresses(v=4))
def test_every_ipv4_address_is_where_the_rfcs_say(address: IPv4Address) -> None:
    private = any(address in IPv4Network(block) for block in PRIVATE_BLOCKS)
    expected = Reach.LOOPBACK if address.is_loopback else Reach.PRIVATE if private else Reach.PUBLIC
    assert reach(str(address)) is expected
    assert reach(f"[::ffff:{address}]") is expected


@given(st.ip_addresses(v=6))
def test_no_global_ipv6_address_is_private(address: IPv6Address) -> None:
    if address.ipv4_mapped is None and address.is_global:
        assert reach(f"[{address}]") is Reach.PUBLIC


@given(st.text(min_size=1, max_size=30), st.sampled_from([".com", ".example.org", ".de."]))
def test_a_name_below_a_public_domain_is_never_private(name: str, domain: str) -> None:
    try:
        endpoint = OLLAMA.parse(f"http://{name}{domain}")
        host = host_of(endpoint)
    except SettingsError:
        return
    if "/" not in name and "\\" not in name:
        assert host.endswith(domain)
        assert reach_of(endpoint, {}) is Reach.PUBLIC


@given(st.text(max_size=40))
def test_any_address_that_is_taken_is_somewhere(address: str) -> None:
    try:
        assert reach_of(OLLAMA.parse(address), {}) in Reach
    except SettingsError:
        return


def test_what_the_environment_calls_private_is() -> None:
    named = {
        "PREANNOTATION_PRIVATE_HOSTS": "GPU.Lab.example.com, 203.0.113.7,2001:db8::7,b\u00fccher.example"
    }
    assert reach("gpu.lab.example.com", **named) is Reach.PRIVATE
    assert reach("203.0.113.7", **named) is Reach.PRIVATE
    assert reach("[2001:db8::7]", **named) is Reach.PRIVATE
    assert reach("b\u00fccher.example", **named) is Reach.PRIVATE
    assert reach("x.gpu.lab.example.com", **named) is Reach.PUBLIC
    assert reach("203.0.113.8", **named) is Reach.PUBLIC
    assert reach("127.0.0.1", PREANNOTATION_PRIVATE_HOSTS="127.0.0.1") is Reach.LOOPBACK


@pytest.mark.parametrize("host", ["\uff11\uff12\uff17.0.0.1", "010.8.8.8", "\u200bhunter2.com"])
def test_a_host_that_the_client_does_not_take_is_refused_and_not_repeated(host: str) -> None:
    with pytest.raises(SettingsError) as raised:
        host_of(f"http://{host}")
    assert host not in str(raised.value)
