"""`/ui` in a real browser."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.system.balancer.served import STRONG, WEAK, balancer, http_half, node, ready, run

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine (apt-get install chromium)")
def test_nodes_chats_and_documents_for_people(tmp_path: Path) -> None:
    """Nodes come and go without a reload, questions show progress and answers, all of it is there after a reload."""
    api = pytest.importorskip("playwright.async_api", reason="playwright is not installed")
    asked: list[str] = []
    wrong: list[str] = []

    async def test() -> None:
        async with (
            balancer(aggregation="best") as (address, stub),
            http_half(address, str(tmp_path / "db")) as url,
            api.async_playwright() as playwright,
        ):
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            page = await browser.new_page()
            page.on("request", lambda request: asked.append(request.url))
            page.on("pageerror", lambda error: wrong.append(str(error)))
            await page.goto(f"{url}/ui")
            await page.get_by_text("No node is connected").wait_for()
            async with (
                node(address, "s", STRONG, "mock:?text=<b>Paris</b>&delay=0.2"),
                node(address, "w", WEAK, "mock:?fails=1"),
            ):
                await ready(stub, 2)
                await page.get_by_text("2 nodes, 2 ready").wait_for()
                await page.get_by_text("why not 2 others").click()
                await page.get_by_text("is for nodes of 80 points and more; this one has 41").wait_for()
                await _ask(page)
            await page.get_by_text("0 nodes, 0 ready").wait_for()
            await page.reload()
            await page.get_by_role("button", name="Capital?", exact=True).click()
            await page.locator("#said .assistant").wait_for()
            await page.get_by_role("button", name="forget Geography").click()
            await page.get_by_role("button", name="forget Geography").wait_for(state="detached")
            await browser.close()
            assert wrong == []
            assert all(one.startswith(url) for one in asked)

    run(test())


async def _ask(page: Any) -> None:
    await page.get_by_label("title of the document").fill("Geography")
    await page.get_by_label("text of the document").fill("Paris is a capital.")
    await page.get_by_role("button", name="add document").click()
    await page.get_by_role("button", name="Geography", exact=True).wait_for()
    await page.get_by_label("question").fill("Capital?")
    await page.get_by_role("button", name="ask", exact=True).click()
    await page.locator("#progress").get_by_text("failed: the engine was told to fail").wait_for()
    await page.locator("#said .assistant").get_by_text("<b>Paris</b>").wait_for()
    await page.locator("#said details summary").click()
    await page.locator("#said details").get_by_text("Active Clients: 1").wait_for()
