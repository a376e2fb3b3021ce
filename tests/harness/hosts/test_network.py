"""Which ranges networks are made of."""

from __future__ import annotations

from harness.hosts.network import unrouted

ROUTES = """Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	0101A8C0	0003	0	0	0	00000000	0	0	0
tun0	000012C6	00000000	0001	0	0	0	0000FFFF	0	0	0
br-1	000513C6	00000000	0001	0	0	0	00FFFFFF	0	0	0
eth0	0001A8C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
"""


def test_ranges_that_a_route_leads_to_are_left_alone() -> None:
    """What a VPN or another network of the machine uses is not taken; the default route does not count."""
    blocks = ["198.18.0", "198.18.255", "198.19.4", "198.19.5"]
    assert unrouted(blocks, ROUTES) == ["198.19.4"]
    assert unrouted(blocks, "") == blocks
