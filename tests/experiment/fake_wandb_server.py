"""As much of W&B's server as `wandb sync` speaks with: GraphQL for runs and files, and the stream of history rows."""

import gzip
import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

_PROJECT = {"id": "UHI6MQ==", "name": "project", "entity": {"id": "RTox", "name": "me"}}


class FakeWandbServer(ThreadingHTTPServer):
    """Keeps what it is sent: the history rows of each run, and the exit codes with which its parts ended."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.rows: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        self.exit_codes: defaultdict[str, list[int]] = defaultdict(list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def fake_wandb_server() -> Iterator[FakeWandbServer]:
    server = FakeWandbServer()
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: FakeWandbServer

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._reply({})

    def do_PUT(self) -> None:
        self._content()
        self._reply({})

    def do_POST(self) -> None:
        content = self._content()
        if self.path == "/graphql":
            self._reply({"data": self._answer(json.loads(content))})
        elif self.path.endswith("/file_stream"):
            self._keep(self.path.split("/")[4], json.loads(content))
            self._reply({"exitcode": None, "limits": {}})
        else:
            self._reply({})

    def _content(self) -> bytes:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        return gzip.decompress(content) if self.headers.get("Content-Encoding") == "gzip" else content

    def _reply(self, answer: dict[str, Any]) -> None:
        content = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        query, variables = request["query"], request.get("variables") or {}
        data: dict[str, Any] = {}
        rows = self.server.rows[variables["name"]] if "name" in variables else []
        bucket = {"id": "UnVuOjE=", "name": variables.get("name"), "historyLineCount": len(rows), "config": "{}"}
        if "upsertBucket" in query:
            data["upsertBucket"] = {"bucket": {**bucket, "project": _PROJECT}, "inserted": not rows}
        if "bucket(" in query:
            known = {**bucket, "historyTail": json.dumps([json.dumps(row) for row in rows[-1:]]), "eventsTail": "[]"}
            data["model"] = {**_PROJECT, "bucket": {**known, "summaryMetrics": "{}"} if rows else None}
        if "createRunFiles" in query:
            files = [{"name": name, "uploadUrl": f"{self.server.url}/{name}"} for name in variables["files"]]
            data["createRunFiles"] = {"runID": bucket["id"], "uploadHeaders": [], "files": files}
        if "viewer" in query:
            data["viewer"] = {"id": "VXNlcjox", "entity": "me", "username": "me"}
        return data

    def _keep(self, run: str, content: dict[str, Any]) -> None:
        history = content.get("files", {}).get("wandb-history.jsonl", {})
        self.server.rows[run] += map(json.loads, history.get("content", []))
        if content.get("complete"):
            self.server.exit_codes[run].append(content["exitcode"])
