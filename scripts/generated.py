"""What is generated, and from what: one table. Run it as scripts/generate."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

Files = dict[Path, str]


def protos() -> Files:
    """Messages and their types beside each *.proto; for the system's gRPC stubs as well."""
    return {
        **compiled(ROOT / "system" / "proto", "python_out", "pyi_out", "grpc_python_out"),
        **compiled(ROOT / "harness" / "protocols", "python_out", "pyi_out"),
    }


def compiled(folder: Path, *outputs: str) -> Files:
    sources = sorted(folder.glob("*.proto"))
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory)
        targets = [f"--{kind}={out}" for kind in outputs]
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


def reference() -> Files:
    """What `muster list` knows -> docs/reference.md."""
    command = [sys.executable, "-m", "harness", "list", "--json"]
    listed = json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)
    sections = [section(what, listed[what]) for what in REFERENCE]
    return {ROOT / "docs" / "reference.md": "\n".join([REFERENCE_HEAD, *sections])}


REFERENCE = {
    "checks": "What can be expected: `expect: {<check>: <first option>, ...}`, and in `checks:`",
    "faults": "What can go wrong: `fault: {<fault>: <first option>, ...}`",
    "loads": "What clients send: `load: {<load>: <first option>, ...}`",
    "actions": "What else a step can do: `<action>: <first option>`, or a mapping",
    "kinds": "Services that need no more than `kind:` in a topology",
    "hosts": "Where hosts come from: `--hosts`",
    "protocols": "What a service can `speaks:`, so that its views are observed",
}
REFERENCE_HEAD = """# Reference

Everything a scenario can be made of. Generated from the classes themselves by `scripts/generate`;
`muster list` prints the same. The first option of a check, fault or load is the value of its name:
`{kill: router}` is `{kill: {target: router}}`.
"""


def section(what: str, kinds: list[dict[str, Any]]) -> str:
    """One role: a heading, and for each of its kinds what it is and a table of its options."""
    lines = [f"## {what.capitalize()}", "", REFERENCE[what] + ".", ""]
    for kind in kinds:
        lines += [f"### {kind['name']}", "", kind["about"], ""]
        if kind["options"]:
            lines += ["| option | takes | default | |", "|---|---|---|---|"]
            lines += [option_row(option) for option in kind["options"]] + [""]
    return "\n".join(lines)


def option_row(option: dict[str, Any]) -> str:
    default = "**required**" if option["required"] else option["default"]
    cells = (f"`{option['name']}`", option["takes"], "" if default is None else default, option["about"])
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


GENERATORS: dict[str, Callable[[], Files]] = {
    "protos": protos,
    "schemas": schemas,
    "reference": reference,
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
