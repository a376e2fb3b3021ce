"""`report.json`: the data model whole, with the version of its format. See docs/reports.md."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, ClassVar, TextIO

from reports.model import as_json

if TYPE_CHECKING:
    from reports.model import RunReport


class Json:
    """Everything a report knows, for programs; times in seconds."""

    file_name: ClassVar[str] = "report.json"

    def render(self, run: RunReport, out: TextIO) -> None:
        value = as_json(run)
        # `dumps`, not `dump`: only that one encodes in C.
        value = {"format": value.pop("format"), **value}
        out.write(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n")
