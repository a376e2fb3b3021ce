"""The registry over TLS, with certificates of clients."""

import asyncio
import shutil
import ssl
import subprocess
from pathlib import Path

import httpx
import pytest

from system.registry.program import RegistryConfig, serve
from tests.system.registry.served import ADDRESS, connected, gone, route

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl to make certificates with")


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate of its own making, and its key."""
    made = folder / f"{name}.pem", folder / f"{name}.key"
    subject = ["-subj", f"/CN={name}", "-addext", f"subjectAltName=IP:{ADDRESS}"]
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"]
    files = ["-out", str(made[0]), "-keyout", str(made[1])]
    subprocess.run(["openssl", "req", "-x509", *kind, *subject, *files], check=True, capture_output=True)
    return made


def test_serves_who_shows_a_known_certificate(tmp_path: Path) -> None:
    """With --tls-client-ca a client without a certificate gets nowhere; one with it registers and is routed to."""
    (own, own_key), (client, client_key) = certificate(tmp_path, "registry"), certificate(tmp_path, "client")
    stranger = ssl.create_default_context(cafile=own)
    known = ssl.create_default_context(cafile=own)
    known.load_cert_chain(client, client_key)

    async def scenario() -> None:
        config = RegistryConfig(
            host=ADDRESS, health_interval=0.0, port=0, tls_cert=own, tls_key=own_key, tls_client_ca=client
        )
        async with (
            serve(config) as started,
            httpx.AsyncClient(base_url=started.url, verify=known) as welcome,
            httpx.AsyncClient(base_url=started.url, verify=stranger) as refused,
        ):
            with pytest.raises(httpx.TransportError):
                await refused.get("/health")
            async with connected(welcome):
                assert await route(welcome, "model=qwen2") == "r1"
            await gone(welcome)

    asyncio.run(scenario())
