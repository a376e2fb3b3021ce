"""`report.html`: one file to read, offline. Templates, style and script are in `reports/templates/`."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TextIO

from markupsafe import Markup

from reports import moments
from reports.chart import chart_of
from reports.console import LABELS
from reports.model import as_json, every_step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jinja2 import Environment

    from reports.model import Distribution, RunReport, ScenarioReport, StepReport

TEMPLATES = Path(__file__).parent / "templates"
SCRIPTS = ("packed.js", "timeline.js", "page.js")
STYLES = ("page.css", "steps.css", "timeline.css")
SHOWN_LINES = 1200
"""At most so many lines of the merged timeline are written out; all are in report.json and history.jsonl."""

ORDER = ("fail", "unknown", "not-run", "pass", "not-applicable", "not-selected")


class Html:
    """For people: the verdict, the timeline, every step with its evidence, hosts, traffic, logs; one file."""

    file_name: ClassVar[str] = "report.html"

    def render(self, run: RunReport, out: TextIO) -> None:
        script = _joined(SCRIPTS)
        page = _environment().get_template("page.html.j2")
        stream = page.stream(
            run=run,
            scenarios=sorted(run.scenarios, key=lambda scenario: ORDER.index(scenario.status)),
            charts={scenario.id: chart_of(scenario) for scenario in run.scenarios},
            packed={scenario.id: _packed(scenario) for scenario in run.scenarios},
            style=_joined(STYLES),
            script=script,
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            order=ORDER,
            shown_lines=SHOWN_LINES,
        )
        out.writelines(stream)


def _joined(names: Sequence[str]) -> str:
    return "\n" + "\n".join((TEMPLATES / name).read_text(encoding="utf-8") for name in names)


def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "clock": moments.clock,
        "lasted": moments.lasted,
        "wall": moments.wall,
        "size": moments.size,
        "counted": _counted,
        "pretty": _pretty,
    }
    environment.globals |= {"labels": LABELS, "every_step": every_step, "opened": opened, "widest": widest}
    return environment


def opened(step: StepReport) -> bool:
    """Whether a step's evidence is shown from the start: it, or one inside it, did not keep its promise."""
    return any(inner.status in {"fail", "unknown"} for inner in every_step((step,)))


def widest(drawn: Distribution) -> float:
    """The share at the right end of the bars: a little more than the greatest one that is drawn."""
    shown = [x for share in drawn.shares for x in (share.share, share.expected, share.high) if x is not None]
    return min(max(shown, default=0.0), 1.0) * 1.08 or 1.0


def _counted(amount: int, noun: str) -> Markup:
    """The number stands out: it is what the eye looks for."""
    return Markup("<b>{:,}</b> {}").format(amount, noun if amount == 1 else f"{noun}s")


def _pretty(value: Any) -> str:
    return json.dumps(as_json(value), indent=1, ensure_ascii=False, default=str)


def _packed(scenario: ScenarioReport) -> str:
    """What is heavy and only shown on demand: JSON, gzipped, in base64, which no HTML can leak out of."""
    requests = scenario.requests
    heavy = {
        "logs": [as_json(log) for log in scenario.logs],
        "requests": {"tables": requests.tables, "columns": requests.columns},
    }
    raw = json.dumps(heavy, ensure_ascii=False, separators=(",", ":")).encode("utf-8", errors="replace")
    return base64.b64encode(gzip.compress(raw, 6, mtime=0)).decode()
