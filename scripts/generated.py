"""What is generated, and from what: one table. Run it as scripts/generate."""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

Files = dict[Path, str]


def protos() -> Files:
    """system/proto/*.proto -> messages, their types, and gRPC stubs beside them."""
    sources = sorted((ROOT / "system" / "proto").glob("*.proto"))
    if not sources:
        return {}
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory)
        targets = [f"--{kind}={out}" for kind in ("python_out", "pyi_out", "grpc_python_out")]
        compiler = [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={ROOT}", *targets]
        subprocess.run([*compiler, *map(str, sources)], check=True)
        return {
            ROOT / path.relative_to(out): path.read_text(encoding="utf-8")
            for path in sorted(out.rglob("*"))
            if path.is_file()
        }


def schemas() -> Files:
    """The kinds' fields -> the JSON Schemas that editors complete scenarios from."""
    from harness.schema import texts

    return {ROOT / "scenarios" / name: text for name, text in texts().items()}


GENERATORS: dict[str, Callable[[], Files]] = {
    "protos": protos,
    "schemas": schemas,
}


def differs(path: Path, content: str) -> bool:
    return not path.is_file() or path.read_text(encoding="utf-8") != content


def main(arguments: list[str]) -> int:
    """Write what is stale, or with --check only name it."""
    if arguments not in ([], ["--check"]):
        print("usage: scripts/generate [--check]", file=sys.stderr)
        return 4
    stale = [
        (name, path, content)
        for name, generator in GENERATORS.items()
        for path, content in generator().items()
        if differs(path, content)
    ]
    for name, path, content in stale:
        if not arguments:
            path.write_text(content, encoding="utf-8")
        print(f"{'stale' if arguments else 'written'}: {path.relative_to(ROOT)} ({name})")
    if stale and arguments:
        print("Run scripts/generate and commit the result.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
