"""`runs.py dashboard`: the comparison of runs on a page of this machine, renewed while runs go on."""

import json
import mimetypes
from argparse import Namespace
from datetime import datetime
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from experiment.failures import Refused
from experiment.runs.comparison import compare
from experiment.runs.filters import parse_filter
from experiment.runs.report_page import PICTURES, live_page, pictures_of
from experiment.runs.summaries import Summary, outputs_dir, select, select_named

# Reachable from this machine alone: the page shows configurations and has no password.
_HOST = "127.0.0.1"
_HOST_NAMES = ("127.0.0.1", "localhost")


def answer(arguments: Namespace) -> int:
    """Serve until Ctrl-C."""
    server = make_server(arguments.runs, limit=arguments.limit or 10, port=arguments.port)
    print(f"runs at http://{_HOST}:{server.server_address[1]} (Ctrl-C ends it)", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print()
    finally:
        server.server_close()
    return 0


def make_server(words: list[str], *, limit: int, port: int) -> ThreadingHTTPServer:
    """A server of the runs that words name, or that meet them; of all runs the newest `limit`.

    Raises:
        Refused: the port is taken, or a word is neither a run nor a condition.
    """
    if words:
        select_named(words)
    try:
        server = ThreadingHTTPServer((_HOST, port), _Handler)
    except (OSError, OverflowError) as error:
        raise Refused(f"port {port} cannot be used ({error}); choose another one with --port") from error
    server.runs = lambda: _shown(words, limit)  # type: ignore[attr-defined]  # handlers know their server alone
    return server


def _shown(words: list[str], limit: int) -> list[Summary]:
    runs = select_named(words) if words else select([])
    # Runs named one by one are all wanted.
    is_selection = not words or any(parse_filter(word) is not None for word in words)
    return runs[-limit:] if is_selection else runs


class _Handler(BaseHTTPRequestHandler):
    """The page, its data, and the pictures that the data names."""

    def do_GET(self) -> None:
        # A page of another site, whose name was bound to this address, must not read the runs.
        if (self.headers.get("Host") or "").rpartition(":")[0] not in _HOST_NAMES:
            self._send(b"unknown host", "text/plain", HTTPStatus.FORBIDDEN)
            return
        path = unquote(urlsplit(self.path).path)
        if path == "/":
            self._send(_live_page(), "text/html; charset=utf-8")
        elif path == "/data.json":
            self._send(json.dumps(self._data()).encode(), "application/json")
        elif path.startswith(f"/{PICTURES}/") and (file := self._picture(path)) is not None:
            self._send(file.read_bytes(), mimetypes.guess_type(file.name)[0] or "application/octet-stream")
        else:
            self._send(b"not found", "text/plain", HTTPStatus.NOT_FOUND)

    def log_message(self, *arguments: Any) -> None:
        """Nothing: a request every two seconds is no news."""

    def _data(self) -> dict[str, Any]:
        runs: list[Summary] = self.server.runs()  # type: ignore[attr-defined]
        root = outputs_dir().absolute()
        pictures = pictures_of(runs, lambda file: f"{PICTURES}/{quote(str(file.absolute().relative_to(root)))}")
        made = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
        return {**compare(runs), "pictures": pictures, "made": made}

    def _picture(self, path: str) -> Path | None:
        """The picture of a run, and no other file."""
        file = (outputs_dir() / path.removeprefix(f"/{PICTURES}/")).resolve()
        is_inside = file.is_relative_to(outputs_dir().resolve()) and PICTURES in file.parts
        return file if is_inside and file.suffix == ".png" and file.is_file() else None

    def _send(self, content: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@cache
def _live_page() -> bytes:
    return live_page().encode()
