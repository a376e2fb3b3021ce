"""Seed 001's command lines, as printed, with the printed answers."""

import os
import shutil
import subprocess
import sys

import pytest

SCRIPT = r"""
set -um
ip link set lo up
"$PYTHON" -m system registry --port 8080 >&2 &
registry=$!
trap 'kill $registry 2>/dev/null' EXIT
until curl -s -o /dev/null http://localhost:8080/ready; do :; done

curl -N -s -X POST http://localhost:8080/register -H "Content-Type: application/json" -d '{"replica_id":"r1","endpoint":"localhost:50051","capabilities":[{"model":"qwen2"}]}' > "$DIR/terminal-1" &
terminal_1=$!
until grep -q alive "$DIR/terminal-1"; do :; done
echo "route"; curl -s http://localhost:8080/route?model=qwen2; echo
echo "registry"; curl -s http://localhost:8080/registry; echo
echo "health"; curl -s http://localhost:8080/health; echo
kill -INT $terminal_1; wait $terminal_1
until curl -s http://localhost:8080/route?model=qwen2 | grep -q detail; do :; done
echo "after"; curl -s http://localhost:8080/route?model=qwen2; echo
echo "events"; cat "$DIR/terminal-1"

curl -N -s -X POST http://localhost:8080/register -H "Content-Type: application/json" -d '{"replica_id":"a","endpoint":"localhost:50051","capabilities":[{"type":"chat"}]}' > "$DIR/a" &
a=$!
until grep -q alive "$DIR/a"; do :; done
curl -N -s -X POST http://localhost:8080/register -H "Content-Type: application/json" -d '{"replica_id":"b","endpoint":"localhost:50052","capabilities":[{"type":"embed"}]}' > "$DIR/b" &
b=$!
until grep -q alive "$DIR/b"; do :; done
echo "chat"; curl -s "http://localhost:8080/route?type=chat"; echo
echo "embed"; curl -s "http://localhost:8080/route?type=embed"; echo
echo "both"; curl -s http://localhost:8080/registry; echo
kill $a $b
"""

PRINTED = """\
route
{"endpoint":"localhost:50051","replica_id":"r1"}
registry
{"replicas":[{"replica_id":"r1","endpoint":"localhost:50051","capabilities":[{"model":"qwen2"}]}]}
"""

PRINTED_AFTER = """\
after
{"detail":"no matching replica"}
events
data: {"status": "registered", "replica_id": "r1"}

data: {"status": "alive"}

chat
{"endpoint":"localhost:50051","replica_id":"a"}
embed
{"endpoint":"localhost:50052","replica_id":"b"}
both
{"replicas":[{"replica_id":"a","endpoint":"localhost:50051","capabilities":[{"type":"chat"}]},{"replica_id":"b","endpoint":"localhost:50052","capabilities":[{"type":"embed"}]}]}
"""


def _own_network() -> list[str]:
    """A network of its own, so that the printed port is free, whatever runs on this machine."""
    command = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--net"]
    tools = shutil.which("unshare") and shutil.which("ip") and shutil.which("curl")
    if not tools or subprocess.run([*command, "true"], check=False, capture_output=True).returncode:
        pytest.skip("needs curl, ip, and unshare with the right to make a network namespace")
    return command


@pytest.mark.slow
def test_the_seeds_lines_give_the_seeds_answers(tmp_path: object) -> None:
    """Typed as the seed prints them, its lines are answered as the seed prints it."""
    # A process namespace as well: whatever happens, nothing that the script started outlives it.
    done = subprocess.run(
        [*_own_network(), "--pid", "--fork", "--kill-child", "bash", "-c", SCRIPT],
        env={**os.environ, "PYTHON": sys.executable, "DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    before, after = done.stdout.split("health\n")
    health, rest = after.split("\n", 1)
    assert before == PRINTED
    assert '"status":"healthy"' in health
    assert rest == PRINTED_AFTER
