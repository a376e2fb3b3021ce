"""`/ui` in a real browser."""

import asyncio
import re
import shutil
from collections.abc import Callable, Coroutine
from typing import Any

import httpx
import pytest

from tests.system.registry.served import connected, serving
from tests.system.registry.simulated import SERVICE, Registry

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
in_a_browser = pytest.mark.skipif(
    not CHROMIUM, reason="no Chromium on this machine (apt-get install chromium)"
)


def look(
    scenario: Callable[[Any, httpx.AsyncClient], Coroutine[Any, Any, None]], **options: Any
) -> list[str]:
    """Play a scenario with a page of a registry; returns what the page asked for."""
    api = pytest.importorskip("playwright.async_api", reason="playwright is not installed")
    asked: list[str] = []

    async def run() -> None:
        async with serving(**options) as client, api.async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            page = await browser.new_page()
            wrong: list[str] = []
            page.on("request", lambda request: asked.append(request.url))
            page.on("pageerror", lambda error: wrong.append(str(error)))
            await scenario(page, client)
            await browser.close()
            assert wrong == []
            assert all(url.startswith(str(client.base_url)) for url in asked)

    asyncio.run(run())
    return asked


@pytest.mark.slow
@in_a_browser
def test_shows_what_happens_as_it_happens() -> None:
    """Entries appear by host, change and go without a reload, and nothing else is asked for anything."""

    async def scenario(page: Any, client: httpx.AsyncClient) -> None:
        await page.goto(f"{client.base_url}/ui")
        await page.get_by_text("Nobody is registered.").wait_for()
        await client.post("/services", json={**SERVICE, "name": "one", "ttl": 60})
        await page.get_by_text("http://10.0.0.1:8100").wait_for()
        async with connected(client, capabilities=[{"model": "<img src=x onerror=alert(1)>"}]):
            await page.get_by_text("<img src=x").wait_for()
            await page.get_by_text("2 entries on 1 hosts, 2 healthy").wait_for()
            await page.get_by_text("open connection").wait_for()
            await page.locator("td.age", has_text=re.compile(r"^\d+ s ago$")).first.wait_for()
            await client.post("/services/one/drain")
            await page.locator("td.draining").wait_for()
        await page.get_by_text("1 entries on 1 hosts, 0 healthy").wait_for()
        await page.get_by_label("filter entries").fill("nothing like it")
        await page.get_by_text("0 entries on 0 hosts").wait_for()

    asked = look(scenario)
    assert {url.rpartition("/")[2] for url in asked} <= {"ui", "watch", "services", "favicon.ico"}


@pytest.mark.slow
@in_a_browser
def test_asks_for_a_token_where_one_is_needed(tmp_path: Any) -> None:
    """The page itself is open; what it shows is not."""
    file = tmp_path / "tokens"
    file.write_text("secret\n")

    async def scenario(page: Any, client: httpx.AsyncClient) -> None:
        page.on("dialog", lambda dialog: asyncio.ensure_future(dialog.accept("secret")))
        headers = {"authorization": "Bearer secret"}
        await client.post("/services", json={**SERVICE, "name": "one"}, headers=headers)
        await page.goto(f"{client.base_url}/ui")
        await page.get_by_text("http://10.0.0.1:8100").wait_for()

    look(scenario, token_file=file)


def test_forbids_itself_to_ask_anybody_else(registry: Registry) -> None:
    """The page's policy allows this registry only."""
    page = registry.call("GET", "/ui")
    assert page.headers["content-security-policy"].startswith("default-src 'none'; connect-src 'self'")
    assert "http://" not in page.text
    assert "https://" not in page.text
