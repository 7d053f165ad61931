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


def pictures_of(runs: Sequence[Summary], address: Callable[[Path], str]) -> list[dict[str, list[dict[str, Any]]]]:
    """Of each run by name its pictures: the step at which they were made, and the address of each."""
    return [
        {
            group.name: [
                {
                    "step": int(folder.name),
                    "pictures": [address(file) for file in sorted(folder.glob("*.png"), key=_number)[:_MOST_PICTURES]],
                }
                for folder in sorted(group.glob("[0-9]*"), key=_number)
            ]
            for group in sorted((Path(run["dir"]) / PICTURES).glob("*"))
            # The files that the pictures were made of lie there too.
            if any(group.glob("[0-9]*/"))
        }
        for run in runs
    ]


def _number(path: Path) -> int:
    return int(path.stem)


def _as_data(file: Path) -> str:
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    return f"data:{kind};base64,{base64.b64encode(file.read_bytes()).decode()}"


def _page(data: dict[str, Any], *, live: bool) -> str:
    # Imported here: listing runs does without.
    from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]

    # A script element ends at the first "</script", wherever it stands.
    text = json.dumps({**data, "live": live}).replace("<", "\\u003c")
    title = "firsthand: runs" if live else f"firsthand: {', '.join(run['name'] for run in data['runs'])}"
    page = _TEMPLATE.read_text()
    for mark, content in (("TITLE", html.escape(title)), ("PLOTLY", get_plotlyjs()), ("DATA", text)):
        page = page.replace(f"/*{mark}*/", content)
    return page


def _now() -> str:
    return datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
