"""The HTML page of a comparison: one file with plotly, the data and the pictures, which needs no network."""

import base64
import html
import json
import mimetypes
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from experiment.runs.comparison import Comparison
from experiment.runs.summaries import Summary

_TEMPLATE = Path(__file__).with_name("report.html")
PICTURES = "pictures"
# A report of a few runs stays below the size that mail and chat take.
_MOST_PICTURES = 8


def static_report(comparison: Comparison, runs: Sequence[Summary]) -> str:
    """The whole page, with the pictures in it."""
    return _page({**comparison, "pictures": pictures_of(runs, _as_data), "made": _now()}, live=False)


def live_page() -> str:
    """The page that asks for `data.json` again and again."""
    return _page({}, live=True)


def pictures_of(runs: Sequence[Summary], address: Callable[[Path], str]) -> list[list[dict[str, Any]]]:
    """Of each run its pictures: the step at which they were made, and the address of each."""
    return [
        [
            {
                "step": int(folder.name),
                "pictures": [address(file) for file in sorted(folder.iterdir())[:_MOST_PICTURES]],
            }
            for folder in sorted((Path(run["dir"]) / PICTURES).glob("[0-9]*"), key=lambda folder: int(folder.name))
        ]
        for run in runs
    ]


def _as_data(file: Path) -> str:
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    return f"data:{kind};base64,{base64.b64encode(file.read_bytes()).decode()}"


def _page(data: dict[str, Any], *, live: bool) -> str:
    # Imported here: listing runs does without.
    from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]

    # A script element ends at the first "</", wherever it stands.
    text = json.dumps({**data, "live": live}).replace("</", "<\\/")
    title = "firsthand: runs" if live else f"firsthand: {', '.join(run['name'] for run in data['runs'])}"
    page = _TEMPLATE.read_text()
    for mark, content in (("TITLE", html.escape(title)), ("PLOTLY", get_plotlyjs()), ("DATA", text)):
        page = page.replace(f"/*{mark}*/", content)
    return page


def _now() -> str:
    return datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
