"""report.html in a real browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reports import write_reports
from tests.reports.runs import copy_of

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine (apt-get install chromium)"),
]


class Opened:
    """A report in a browser; what it asked for and what went wrong."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.asked: list[str] = []
        self.wrong: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("console", lambda message: self.wrong.append(message.text))

    def names(self) -> list[str]:
        """The names of the steps that can be seen."""
        return [str(name) for name in self.page.locator(".step .name:visible").all_inner_texts()]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def report(browser: Any, tmp_path: Path) -> Iterator[Opened]:
    path = write_reports(copy_of("failed", tmp_path), ["html"])["html"]
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    opened = Opened(context.new_page())
    opened.page.goto(path.as_uri())
    yield opened
    context.close()
    assert opened.wrong == []


def test_no_request_leaves(report: Opened) -> None:
    """Opening it, its logs and its timeline asks for nothing but the file itself."""
    report.page.locator(".log summary").first.click()
    report.page.locator(".timeline [data-zoom=in]").click()
    report.page.locator(".log pre span").first.wait_for()
    assert [url.partition(":")[0] for url in report.asked] == ["file"]


def test_a_failing_step_is_expanded(report: Opened) -> None:
    """The evidence of a failing step can be read at once; that of a passed step is folded."""
    failed = report.page.locator(".step.is-fail").first
    assert failed.get_by_text("still lists babysitter-d-server").first.is_visible()
    assert not report.page.locator(".step.is-pass .body").first.is_visible()


def test_the_filter_leaves_what_matches(report: Opened) -> None:
    """`/` goes to the filter; steps that do not match go, with an outer step kept around a match."""
    report.page.keyboard.press("/")
    report.page.keyboard.type("still registered")
    assert report.names() == ["server 2 is killed", "its services are forgotten"]
    report.page.keyboard.press("Escape")
    assert len(report.names()) == 15


def test_keys_move_between_steps(report: Opened) -> None:
    """J goes on, k goes back, n to the next that did not pass, Enter opens."""
    here = report.page.locator(".step.here > details > summary .name")
    for key, name in (
        ("j", "every service registers"),
        ("j", "the router offers both models, once each"),
        ("k", "every service registers"),
        ("n", "its services are forgotten"),
    ):
        report.page.keyboard.press(key)
        assert here.inner_text() == name
    report.page.keyboard.press("Enter")
    assert not report.page.locator(".step.here > details .body").is_visible()


def test_a_log_is_unpacked_when_it_is_opened(report: Opened) -> None:
    """An opened log shows the lines around the first bad observation, as text, and obeys the filter."""
    log = report.page.locator(".log", has_text="around the first bad observation").first
    log.locator("summary").click()
    log.locator("pre span").first.wait_for()
    assert "lease of babysitter-c expired" in log.locator("pre").inner_text()
    report.page.locator("#filter").fill("heartbeat of babysitter-d-server")
    report.page.wait_for_function("document.querySelectorAll('.log[open] pre span').length === 2")


def test_the_timeline_zooms_and_moves(report: Opened) -> None:
    """A wheel turn with Ctrl makes the picture wider, a drag moves it, 0 shows all again."""
    plot = report.page.locator(".plot")
    box = report.page.locator(".view").bounding_box()
    report.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 60)
    report.page.keyboard.down("Control")
    report.page.mouse.wheel(0, -600)
    report.page.keyboard.up("Control")
    report.page.wait_for_function("parseFloat(document.querySelector('.plot').getAttribute('width')) > 300")
    before = float(plot.get_attribute("x").rstrip("%"))
    report.page.mouse.down()
    report.page.mouse.move(box["x"] + box["width"] / 2 - 100, box["y"] + 60, steps=3)
    report.page.mouse.up()
    assert float(plot.get_attribute("x").rstrip("%")) < before
    report.page.locator(".timeline").focus()
    report.page.keyboard.press("0")
    assert plot.get_attribute("width") == "100%"


@pytest.mark.parametrize("width", [390, 1400])
def test_the_page_fits_its_window(report: Opened, width: int) -> None:
    """Nothing makes the page scroll sideways, on a phone or a desk."""
    report.page.set_viewport_size({"width": width, "height": 800})
    assert report.page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_first_thing_painted_is_the_verdict(report: Opened) -> None:
    """The sentence stands in the first screen of a phone."""
    report.page.set_viewport_size({"width": 390, "height": 700})
    box = report.page.locator("h1").bounding_box()
    assert box["y"] + box["height"] < 500
