"""What the documentation points at is there."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md")), ROOT / "scenarios" / "README.md"]

LINK = re.compile(r"\]\((?!https?://)([^)#\s]*)(#[^)\s]+)?\)")
GUIDE_ANCHOR = re.compile(r"(?:troubleshooting\.md|\{GUIDE\})(#[a-z0-9_-]+)")
ANCHOR_TABLE = re.compile(r'^\s+"([a-z0-9]+(?:-[a-z0-9]+)+|firewall)",$', re.MULTILINE)
SCRIPT = re.compile(r"^(?:\| `)?(\./validate\.sh|(?:scripts|\.ci|docker)/[\w.-]+)", re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """The names a page's headings have, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {"#" + re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> Iterator[tuple[Path, str]]:
    for target, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        yield (page.parent / target if target else page), anchor


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page: Path) -> None:
    """Files exist, and so do the headings that are pointed at."""
    broken = [
        f"{os.path.relpath(target, page.parent)}{anchor}"
        for target, anchor in links(page)
        if not target.exists() or (anchor and anchor not in anchors(target))
    ]
    assert broken == []


def test_every_page_is_in_the_index() -> None:
    """A page that docs/README.md does not name is not found by anybody."""
    index = ROOT / "docs" / "README.md"
    named = {target.resolve() for target, _ in links(index)}
    assert {page.name for page in (ROOT / "docs").glob("*.md") if page.resolve() not in named} == {index.name}


def test_messages_point_at_headings_that_exist() -> None:
    """Each anchor of the troubleshooting guide that a message names is a heading there."""
    known = anchors(ROOT / "docs" / "troubleshooting.md")
    named = {
        anchor
        for folder in ("harness", "system", "mock_services", "reports")
        for path in (ROOT / folder).rglob("*.py")
        for anchor in GUIDE_ANCHOR.findall(path.read_text(encoding="utf-8"))
    }
    table = ANCHOR_TABLE.findall((ROOT / "harness" / "diagnosis.py").read_text(encoding="utf-8"))
    assert named
    assert table
    assert named | {f"#{name}" for name in table} <= known


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_commands_that_are_printed_can_be_typed(page: str) -> None:
    """Each script at the start of a line or row exists and is executable."""
    commands = set(SCRIPT.findall((ROOT / page).read_text(encoding="utf-8")))
    assert {"./validate.sh", "scripts/test"} <= commands
    assert [command for command in sorted(commands) if not os.access(ROOT / command, os.X_OK)] == []
