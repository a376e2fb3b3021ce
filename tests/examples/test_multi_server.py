"""Seed 000's example: what its client prints is what the seed prints."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRINTED = """\
==================================================
AnyServe Multi-Server Client Demo
==================================================

API Server: http://localhost:8080

==================================================
Testing 'multiply' capability (Worker 1)
==================================================
  Mode: ConnectionMode.DISCOVERY
  Endpoint (before infer): None
  Endpoint (after infer): localhost:50051
  Replica ID: worker1

  Inputs: a=[2, 3, 4], b=[10, 20, 30]
  Result: product=[20, 60, 120]
  Expected: [20, 60, 120]

==================================================
Testing 'divide' capability (Worker 2)
==================================================
  Mode: ConnectionMode.DISCOVERY
  Endpoint: localhost:50052
  Replica ID: worker2

  Inputs: a=[10.0, 20.0, 30.0], b=[2.0, 4.0, 5.0]
  Result: quotient=[5.0, 5.0, 6.0]
  Expected: [5.0, 5.0, 6.0]

==================================================
Testing 'power' capability (Worker 2)
==================================================
  Mode: ConnectionMode.DISCOVERY
  Endpoint: localhost:50052
  Replica ID: worker2

  Inputs: base=[2.0, 3.0, 4.0], exp=[2, 3, 2]
  Result: result=[4.0, 27.0, 16.0]
  Expected: [4.0, 27.0, 16.0]

==================================================
Testing Direct Mode (no API Server)
==================================================
  Mode: ConnectionMode.DIRECT
  Endpoint: localhost:50051
  Result: product=[35, 48]
  Expected: [35, 48]

==================================================
All tests completed successfully!
==================================================
"""
# In a network of its own: the seed's ports are free there, whatever else this machine runs.
SCRIPT = r"""
set -um
ip link set lo up
examples/multi_server/run_server.sh >"$DIR/server.log" 2>&1 &
server=$!
trap 'kill -TERM $server 2>/dev/null; wait $server' EXIT
until grep -q "All services are up" "$DIR/server.log"; do
    kill -0 $server || { cat "$DIR/server.log" >&2; exit 1; }
    sleep 0.05
done
examples/multi_server/run_client.sh >"$DIR/printed"
curl -s "http://localhost:8080/route?type=multiply" >"$DIR/multiply"
curl -s "http://localhost:8080/route?type=divide" >"$DIR/divide"
"""


def own_network() -> list[str]:
    """A command that gives a script a network and a process table of its own."""
    command = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--net"]
    tools = shutil.which("unshare") and shutil.which("ip") and shutil.which("curl")
    if not tools or subprocess.run([*command, "true"], check=False, capture_output=True).returncode:
        pytest.skip("needs curl, ip, and unshare with the right to make a network namespace")
    return [*command, "--pid", "--fork", "--kill-child"]


@pytest.mark.slow
def test_the_example_prints_what_the_seed_prints(tmp_path: Path) -> None:
    """run_server.sh and run_client.sh, on the seed's own ports; the curl lines, too."""
    done = subprocess.run(
        [*own_network(), "bash", "-c", SCRIPT],
        cwd=ROOT,
        env={**os.environ, "DIR": str(tmp_path), "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr + (tmp_path / "server.log").read_text(encoding="utf-8")
    assert (tmp_path / "printed").read_text(encoding="utf-8") == PRINTED
    answers = [(tmp_path / name).read_text(encoding="utf-8") for name in ("multiply", "divide")]
    assert answers == [
        '{"endpoint":"localhost:50051","replica_id":"worker1"}',
        '{"endpoint":"localhost:50052","replica_id":"worker2"}',
    ]
