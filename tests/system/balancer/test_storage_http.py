"""What users get while the database is not there."""

import httpx
import pytest

from tests.system.balancer.postgres_server import MISSING, postgres_server, program
from tests.system.balancer.served import HERE, http_half, run, until


@pytest.mark.slow
@pytest.mark.skipif(not program("initdb"), reason=MISSING)
def test_a_database_that_is_gone_is_503_until_it_is_back() -> None:
    """With words that say where it was looked for; nothing has to be restarted."""
    with postgres_server() as server:

        async def test() -> None:
            async with (
                http_half(f"{HERE}:1", server.database()) as url,
                httpx.AsyncClient(base_url=url, timeout=10) as client,
            ):
                made = (await client.post("/chat/sessions", json={"title": "kept"})).json()["session_id"]
                server.stop()
                try:
                    gone = await client.get(f"/chat/sessions/{made}")
                    assert gone.status_code == 503
                    assert gone.json()["success"] is False
                    assert gone.json()["error"].startswith(
                        "database not available: postgresql://127.77.21.1:"
                    )
                finally:
                    server.start()

                async def back() -> bool:
                    return (await client.get(f"/chat/sessions/{made}")).status_code == 200

                await until(back)

        run(test())
