"""One shared token between users, both halves and the nodes."""

from pathlib import Path
from typing import Any

import httpx

from tests.system.balancer.served import WEAK, balancer, http_half, node, run, until


def test_a_shared_token_is_asked_of_users_and_sent_to_halves_and_nodes(tmp_path: Path) -> None:
    """Without it 401; with it a question goes all the way to a node that wants it too."""
    token = tmp_path / "token"
    token.write_text("secret\n")
    bearer = {"Authorization": "Bearer secret"}

    async def test() -> None:
        async with (
            balancer(token_file=token) as (address, _),
            node(address, "a", WEAK, token_file=token),
            http_half(address, str(tmp_path / "b.db"), token_file=token) as url,
            httpx.AsyncClient(base_url=url, trust_env=False) as client,
        ):
            assert (await client.get("/status")).status_code == 401
            assert (await client.get("/ui")).status_code == 200  # it asks for the token

            async def ready() -> Any:
                clients = (await client.get("/status", headers=bearer)).json()["clients"]
                return [one for one in clients if one["state"] == "ready" and one["model"]]

            await until(ready)
            asked = {"prompt": "hello", "aggregation": "best"}
            answer = await client.post("/query", json=asked, headers=bearer)
            assert answer.status_code == 200, answer.text

    run(test())
