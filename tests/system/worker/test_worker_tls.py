"""TLS between clients and workers: verified by the CA the client names, refused without."""

import asyncio
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

from system.client import AsyncClient, Client
from system.worker import Worker
from tests.system.worker.served import ADDRESS, run, served

worker = Worker()


@worker.capability(type="echo")
async def echo(x: np.ndarray[Any, Any]) -> dict[str, Any]:
    return {"x": x}


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for the tests' address that is its own authority, and its key."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    subject = ["-subj", "/CN=test", "-addext", f"subjectAltName=IP:{ADDRESS}"]
    files = ["-keyout", str(key), "-out", str(cert)]
    subprocess.run(["openssl", "req", *kind, *subject, *files], check=True, capture_output=True)
    return cert, key


def test_calls_are_encrypted_where_a_certificate_is_given(tmp_path: Path) -> None:
    """Both clients with the CA are answered; one that talks in the clear is not."""
    cert, key = certificate(tmp_path)

    async def test() -> None:
        async with served(worker, tls_cert=cert, tls_key=key) as at:
            async with AsyncClient(at, ca=cert) as client, AsyncClient(at, timeout=1) as plain:
                assert await client.infer("echo", {"x": [1]}) == {"x": [1]}
                assert not await plain.is_alive()

            def blocking() -> None:
                with Client(at, ca=cert) as client:
                    assert client.infer("echo", {"x": [1]}) == {"x": [1]}

            await asyncio.to_thread(blocking)

    run(test())
