"""Address ranges of the loopback, held across processes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from harness.errors import EnvironmentFailure
from harness.leases import BLOCKS, HOSTS_PER_BLOCK, lease_addresses

HOLD = "import sys, socket; s = socket.socket(fileno=int(sys.argv[1])); print('held', flush=True); sys.stdin.read()"


def test_sixty_deployments_at_once_share_no_address() -> None:
    """As many leases as one machine will want are all different."""
    leases = [lease_addresses(2) for _ in range(60)]
    addresses = {lease.address(number) for lease in leases for number in range(2)}
    for lease in leases:
        lease.release()
    assert len(addresses) == 120
    assert len(BLOCKS) > 1000


def test_none_left_is_said() -> None:
    """When all ranges are held, the environment is at fault and the message says what to do."""
    held = lease_addresses(1, ["127.99.1"])
    try:
        with pytest.raises(EnvironmentFailure, match=r"held by other runs.*muster reap"):
            lease_addresses(1, ["127.99.1"])
    finally:
        held.release()


def test_a_released_range_can_be_leased_again() -> None:
    """Letting go frees the range at once."""
    lease_addresses(1, ["127.99.2"]).release()
    lease_addresses(1, ["127.99.2"]).release()


def test_a_lease_lives_as_long_as_an_heir_of_its_descriptor() -> None:
    """A process that inherited the lease keeps the range taken after the first holder let go."""
    lease = lease_addresses(1, ["127.99.3"])
    heir = subprocess.Popen(
        [sys.executable, "-S", "-c", HOLD, str(lease.fileno())],
        pass_fds=[lease.fileno()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with heir:
        assert heir.stdout is not None
        assert heir.stdout.readline() == b"held\n"
        lease.release()
        with pytest.raises(EnvironmentFailure):
            lease_addresses(1, ["127.99.3"])
        heir.communicate()
    lease_addresses(1, ["127.99.3"]).release()


def test_more_hosts_than_a_range_has_addresses() -> None:
    """A topology that does not fit is refused with both numbers."""
    with pytest.raises(EnvironmentFailure, match=f"{HOSTS_PER_BLOCK} hosts in a topology, this one has 255"):
        lease_addresses(255)
