"""Interoperability: the tritonclient package, in a process of its own, against a worker."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from system.worker import Outputs, Worker, bfloat16
from tests.system.worker.served import run, served

PROGRAM = Path(__file__).with_name("triton_calls.py")
worker = Worker()


@worker.capability(type="echo")
def echo(x: np.ndarray[Any, Any]) -> dict[str, Any]:
    return {"x": x}


@worker.capability(type="echo_bf16")
def echo_bf16(x: NDArray[bfloat16]) -> Outputs(x=bfloat16):  # type: ignore[valid-type]
    return {"x": x}


@worker.capability(type="multiply")
def multiply(a: NDArray[np.int32], b: NDArray[np.int32]) -> Outputs(product=np.int32):  # type: ignore[valid-type]
    return {"product": a * b}


@pytest.mark.slow
def test_tritonclient_gets_what_it_expects() -> None:
    """Health, metadata, raw and typed round trips of every datatype, and a status for a wrong name."""

    async def test() -> None:
        async with served(worker) as endpoint:
            program = await asyncio.create_subprocess_exec(
                sys.executable,
                str(PROGRAM),
                endpoint,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            said, _ = await program.communicate()
            assert said.decode().splitlines()[-1:] == ["all well"], said.decode()

    run(test())
