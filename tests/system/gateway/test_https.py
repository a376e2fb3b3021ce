"""Providers are reached by HTTPS, and only where their certificate is trusted."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from system.testing import running
from tests.system.gateway.front import ANTHROPIC_MODEL, MESSAGES, OPENAI_MODEL, Mock, front, told

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl to make certificates with")


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[tuple[Mock, Mock, Path]]:
    """Both providers behind a certificate of their own making."""
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subject = ["-subj", "/CN=provider", "-addext", "subjectAltName=IP:127.0.0.1"]
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"]
    files = ["-out", str(certificate), "-keyout", str(key)]
    subprocess.run(["openssl", "req", "-x509", *kind, *subject, *files], check=True, capture_output=True)
    options = ("--port", "0", "--host", "127.0.0.1", "--tls-cert", str(certificate), "--tls-key", str(key))
    with ExitStack() as stack:
        start = stack.enter_context
        openai = start(running("mock_services", "openai", "--models", OPENAI_MODEL, *options))
        anthropic = start(running("mock_services", "anthropic", *options))
        yield Mock(openai.url), Mock(anthropic.url), certificate


def test_https_is_spoken_where_it_is_trusted(secure: tuple[Mock, Mock, Path]) -> None:
    """SDKs and bytes alike, whole and streamed; an unknown certificate is a failed connection that says so."""
    openai, anthropic, certificate = secure
    with front(openai, anthropic, SSL_CERT_FILE=str(certificate)) as gateway:
        for provider in ("openai", "anthropic"):
            assert told(gateway.ask(provider=provider))["provider"] == provider
        for model in (OPENAI_MODEL, ANTHROPIC_MODEL):
            for stream in (False, True):
                asked = {"model": model, "messages": MESSAGES, "stream": stream}
                assert "Hello" in gateway.post("/v1/chat/completions", asked).text
    with front(openai, anthropic) as gateway:
        answer = gateway.ask()
    assert answer.status_code == 502
    assert {one["error"] for one in told(answer)["tried"]} == {"connection"}
    assert "certificate" in told(answer)["detail"]
