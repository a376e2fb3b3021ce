"""The example's client: three capabilities by discovery, one directly. Prints what it finds.

`API_SERVER` names the registry (default http://localhost:8080), `DIRECT_ENDPOINT` the worker of the last part
(default localhost:50051).
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from system.client import Client

API_SERVER = os.environ.get("API_SERVER", "http://localhost:8080")
DIRECT_ENDPOINT = os.environ.get("DIRECT_ENDPOINT", "localhost:50051")
LINE = "=" * 50


def heading(*lines: str) -> None:
    print(LINE, *lines, LINE, sep="\n")


def show_discovery(
    model: str,
    output: str,
    inputs: Mapping[str, Sequence[Any]],
    expected: Sequence[Any],
    *,
    worker: int,
    verbose: bool = False,
) -> None:
    """Call a model that the registry finds, and print the call and its result."""
    heading(f"Testing '{model}' capability (Worker {worker})")
    with Client(api_server=API_SERVER, capability={"type": model}) as client:
        print(f"  Mode: {client.mode}")
        if verbose:
            print(f"  Endpoint (before infer): {client.endpoint}")
        result = client.infer(model_name=model, inputs=inputs)
        print(f"  Endpoint{' (after infer)' if verbose else ''}: {client.endpoint}")
        print(f"  Replica ID: {client.replica_id}")
    print()
    print("  Inputs: " + ", ".join(f"{name}={values}" for name, values in inputs.items()))
    print(f"  Result: {output}={result[output]}")
    print(f"  Expected: {expected}")
    print()
    check(model, result[output], expected)


def check(model: str, got: Sequence[Any], expected: Sequence[Any]) -> None:
    """Let the client fail where a result is wrong: reading it should not be needed."""
    if list(got) != list(expected):
        msg = f"{model} answered {got} instead of {expected}"
        raise SystemExit(msg)


def show_direct() -> None:
    """Call a worker whose endpoint is known."""
    heading("Testing Direct Mode (no API Server)")
    with Client(endpoint=DIRECT_ENDPOINT) as client:
        print(f"  Mode: {client.mode}")
        print(f"  Endpoint: {client.endpoint}")
        result = client.infer("multiply", {"a": [5, 6], "b": [7, 8]})
    print(f"  Result: product={result['product']}")
    print("  Expected: [35, 48]")
    print()
    check("multiply", result["product"], [35, 48])


def main() -> None:
    heading("AnyServe Multi-Server Client Demo")
    print(f"\nAPI Server: {API_SERVER}\n")
    multiplied = {"a": [2, 3, 4], "b": [10, 20, 30]}
    show_discovery("multiply", "product", multiplied, [20, 60, 120], worker=1, verbose=True)
    divided = {"a": [10.0, 20.0, 30.0], "b": [2.0, 4.0, 5.0]}
    show_discovery("divide", "quotient", divided, [5.0, 5.0, 6.0], worker=2)
    raised: dict[str, list[Any]] = {"base": [2.0, 3.0, 4.0], "exp": [2, 3, 2]}
    show_discovery("power", "result", raised, [4.0, 27.0, 16.0], worker=2)
    show_direct()
    heading("All tests completed successfully!")


if __name__ == "__main__":
    main()
