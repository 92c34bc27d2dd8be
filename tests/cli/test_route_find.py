"""`skywire cli route find|calc` and `svc health`, at services that answer what a test says."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from skywire.cli.main import root
from skywire.crypto.generate import deterministic_key_pair
from skywire.visor import ops_info
from skywire.visor.types import Overview
from skywire.wire.transport import transport_id
from tests.cli.fake_rpc import fake_rpc

A, B, C = (deterministic_key_pair(name)[0] for name in (b"a", b"b", b"c"))
AB, BC = transport_id(A, B, "stcpr"), transport_id(B, C, "dmsg")
TRANSPORTS = [
    {"t_id": str(AB), "edges": sorted([str(A), str(B)]), "type": "stcpr", "label": "user"},
    {"t_id": str(BC), "edges": sorted([str(B), str(C)]), "type": "dmsg", "label": "user"},
]
HEALTH = {"build_info": {"version": "v1", "commit": "", "date": ""}, "started_at": "2026-01-01"}


@contextmanager
def service(answers: Mapping[str, Any]) -> Iterator[str]:
    """URL of a service that answers these paths, and 404 elsewhere."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            found = answers.get(self.path)
            body = json.dumps({"error": "no"} if found is None else found).encode()
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            """Nothing to the test's output."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def cli(*words: str, **environment: str) -> Result:
    env = {"SKYWIRE_RPC": "127.0.0.1:1", **environment}
    return CliRunner(env=env).invoke(root, ["cli", *words, "--timeout", "10"])


def hop(id: object, source: object, target: object) -> dict[str, str]:
    return {"TpID": str(id), "From": str(source), "To": str(target)}


THERE = [hop(AB, A, B), hop(BC, B, C)]
BACK = [hop(BC, C, B), hop(AB, B, A)]


def test_the_route_finder_is_asked() -> None:
    answer = {f"{A}:{C}": [THERE], f"{C}:{A}": [BACK]}
    with service({"/routes": answer}) as url:
        found = cli("route", "find", str(A), str(C), "-a", url, "--json")
        assert json.loads(found.stdout)["output"] == {"forward": THERE, "reverse": BACK}
        with fake_rpc({ops_info.overview: Overview(local_pk=A)}) as fake:
            words = ["route", "find", str(C), "-a", url, "--rpc", fake.address]
            assert cli(*words).stdout.splitlines()[1].split()[:4] == [
                *("forward", "1", str(A), str(B))
            ]
    with service({}) as url:
        assert cli("route", "find", str(A), str(C), "-a", url).exit_code == 1
    assert cli("route", "find", str(A), str(B), str(C)).exit_code == 2


def test_a_route_is_calculated_from_the_list_and_its_source_is_told(tmp_path: Path) -> None:
    with service({"/all-transports": TRANSPORTS}) as url:
        words = ["--cache-dir", str(tmp_path), "--no-dmsg", "--no-rpc", "-a", url]
        found = cli("route", "calc", str(A), str(C), *words, "--json")
        document = json.loads(found.stdout)
        assert document["output"] == {"forward": THERE, "reverse": BACK}
        assert document["source"]["url"] == f"{url}/all-transports"
        assert "over http, fresh" in cli("route", "calc", str(A), str(C), *words, "-m", "0").stderr
        none = cli("route", "calc", str(A), str(C), *words, "-n", "3")
        assert (none.exit_code, none.stderr) == (1, "Error: route not found\n")


@pytest.mark.parametrize("both", [True, False])
def test_the_health_of_the_services_is_an_exit_code(tmp_path: Path, both: bool) -> None:
    with service({"/health": HEALTH}) as good, service({}) as bad:
        file = tmp_path / "services.json"
        services = {"dmsg_discovery": good, "route_finder": good if both else bad}
        file.write_text(json.dumps({"prod": services, "test": services}))
        words = ["svc", "health", "--no-dmsg", "--no-rpc", "--json"]
        result = cli(*words, SKYDEPLOY=str(file))
        text = cli(*words[:-1], SKYDEPLOY=str(file))
    found = {one["service"]: one for one in json.loads(result.stdout)["output"]}
    assert found["dmsg_discovery"]["version"] == "v1"
    assert found["route_finder"]["healthy"] is both
    assert result.exit_code == text.exit_code == (0 if both else 1)
    assert ("no answer" in text.stdout) is not both
