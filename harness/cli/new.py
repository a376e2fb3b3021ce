"""`muster new`: writes a small scenario and its topology, commented, ready to run; never over a file."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

from harness.cli import OK
from harness.errors import EnvironmentFailure, Place, Problem, ScenarioError

SCENARIO = """\
# yaml-language-server: $schema={schema}/scenario.schema.json
# What can stand here: muster list. What it would do: muster plan {file}
version: 1
scenario: {title}
about: >
  One sentence for whoever reads the report.
tags: [example]
topology: {topology}

steps:
  - name: the service registers
    expect: {{registered: [worker, worker-server], within: 10s}}

  - name: every request for {{model}} is answered
    each: {{model: "{{topology.models}}"}}        # repeated for every model of the topology
    load: {{chat: "{{model}}", at: router, requests: 20, concurrency: 4}}
    expect: {{availability: 100%}}

  - name: the worker is killed                  # healed, and proven healed, when the nested steps are over
    fault: {{kill: worker}}
    steps:
      - name: it is forgotten
        expect: {{unregistered: [worker-server], within: 10s}}

  - name: it comes back
    expect: {{registered: [worker, worker-server], within: 10s}}

checks:                                         # judged at the end, on everything that happened
  - right_model
"""

TOPOLOGY = """\
# yaml-language-server: $schema={schema}/topology.schema.json
# A service is of a kind (muster list kinds), or states its fields itself:
#   mine: {{command: [python, -m, mine, --host, "{{host.address}}"], ports: [9000], ready: {{http: /health}}}}
hosts:
  server1:
    registry: {{kind: registry, port: 18000}}
    router:   {{kind: router, port: 8000, registry: "{{registry.url}}"}}
  server2:
    worker:
      kind: babysitter                          # it runs a backend, and registers both: worker, worker-server
      port: 8100
      registry: "{{registry.url}}"
      backend: {{kind: mock-openai, name: mock-1, models: [model-1]}}
"""


def add(subparsers: Any) -> None:
    """Describe the command line."""
    parser = subparsers.add_parser(
        "new",
        help="write a small scenario to begin with",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Write NAME.scenario.yaml and its topology; files that exist are never touched.",
        epilog="example: muster new checkout && muster run scenarios/checkout.scenario.yaml",
    )
    parser.add_argument("name", metavar="NAME", help="what the files are called: letters, digits, - and _")
    parser.add_argument("--dir", default="scenarios", metavar="DIR", help="where to (default: scenarios)")


def run(arguments: argparse.Namespace) -> int:
    """Write both files and the schemas that editors complete from."""
    from harness.schema import texts

    name, folder = arguments.name, Path(arguments.dir)
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]*", name):
        raise ScenarioError(
            [Problem(Place("NAME"), f"'{name}' is no name: letters, digits, '-' and '_' only")]
        )
    scenario = folder / f"{name}.scenario.yaml"
    topology = folder / "topologies" / f"{name}.yaml"
    values = {
        "file": scenario.as_posix(),
        "title": name.replace("_", " "),
        "topology": f"topologies/{name}.yaml",
    }
    files = {
        scenario: SCENARIO.format(schema=".", **values),
        topology: TOPOLOGY.format(schema=".."),
    }
    existing = [path for path in files if path.exists()]
    if existing:
        problems = [Problem(Place(str(path)), "exists already, and is left as it is") for path in existing]
        raise ScenarioError(problems)
    schemas = {folder / file: text for file, text in texts().items() if not (folder / file).exists()}
    _write(files | schemas)
    print(f"written: {scenario}\nwritten: {topology}\nnext:    muster plan {scenario}")
    return OK


def _write(files: dict[Path, str]) -> None:
    try:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        msg = f"{error.filename} cannot be written: {error.strerror}"
        raise EnvironmentFailure(msg) from error
