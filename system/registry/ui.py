"""`/ui`: the table for people, one file that asks nobody but this registry."""

from pathlib import Path

from system.registry.http import Answer, Request, Routes

PAGE = Path(__file__).with_name("ui.html")
POLICY = b"default-src 'none'; connect-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
HEADERS = ((b"content-security-policy", POLICY), (b"cache-control", b"no-cache"))


class Ui:
    """The handler."""

    def add_to(self, routes: Routes) -> None:
        routes.add("GET", "/ui", self.page, media="text/html")

    async def page(self, request: Request) -> Answer:
        """Hosts, entries and leases, live, in a browser."""
        return Answer(200, PAGE.read_bytes(), b"text/html; charset=utf-8", HEADERS)
