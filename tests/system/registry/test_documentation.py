"""`/docs` and what it is made from."""

import subprocess
import sys

from tests.system.registry.simulated import Registry


def test_describes_every_path_with_its_body(registry: Registry) -> None:
    """Whatever is served is described, with a sentence each, and bodies by their models."""
    described = registry.call("GET", "/openapi.json").json()
    paths = described["paths"]
    assert {"/register", "/route", "/services/{name}/heartbeat", "/watch", "/replicas"} <= set(paths)
    assert all(operation["summary"] for path in paths.values() for operation in path.values())
    body = paths["/services"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"$ref": "#/components/schemas/ServiceBody"}
    assert "ttl" in described["components"]["schemas"]["ServiceBody"]["properties"]
    assert {one["name"] for one in paths["/services"]["get"]["parameters"]} == {"status", "healthy"}


def test_shows_pages_for_people(registry: Registry) -> None:
    """Both pages read the description from beside them."""
    for path in ("/docs", "/redoc"):
        page = registry.call("GET", path)
        assert page.headers["content-type"].startswith("text/html")
        assert "openapi.json" in page.text


def test_starting_does_not_pay_for_the_documentation() -> None:
    """FastAPI is not imported until somebody asks."""
    lines = "import sys, system.registry.program; sys.exit('fastapi' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", lines], check=False).returncode == 0
