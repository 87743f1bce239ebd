"""Who is heard, and what a browser may do with the answers."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.app.conftest import opened, png
from tumorline.app.door import Door
from tumorline.app.serving import ServerOptions, describe_start, make_door, open_socket, serve
from tumorline.app.state import AppSettings
from tumorline.errors import UserError


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost:9", "[::1]:8765", "192.168.0.7", "LOCALHOST."])
def test_addresses_and_localhost_are_names_of_this_machine(client: TestClient, host: str) -> None:
    assert client.get("/health", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8765", "", "[", "a@b"]
)
def test_a_name_that_could_be_rebound_is_refused(client: TestClient, host: str) -> None:
    answer = client.get("/models", headers={"host": host})
    assert answer.status_code == 421
    assert "Host" in answer.json()["error"]


def test_further_names_are_those_that_were_allowed() -> None:
    door = Door(hosts=["scanner.example"])
    assert door.knows_host("scanner.example:80")
    assert not door.knows_host("other.example")
    assert Door(hosts=["*"]).knows_host("other.example")


@pytest.mark.parametrize("host", ["Mri.Example.org", "mri.example.org", "MRI.EXAMPLE.ORG.:8765"])
def test_capitals_in_a_name_make_no_difference(host: str) -> None:
    assert Door(hosts=["Mri.Example.org"]).knows_host(host)
    assert make_door(ServerOptions(host="Mri.Example.org.")).knows_host(host)


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "cors"},
    ],
)
def test_a_page_of_another_origin_is_not_answered(client: TestClient, headers: dict[str, str]) -> None:
    for answer in (
        client.get("/models", headers=headers),
        client.post("/predict", headers=headers, files={"file": ("a.png", png())}),
    ):
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers


def test_its_own_page_is_answered_and_a_link_may_be_followed(client: TestClient) -> None:
    own = {"origin": "http://127.0.0.1:8765", "sec-fetch-site": "same-origin"}
    assert client.get("/models", headers=own).status_code == 200
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert client.get("/", headers=link).status_code == 200
    assert client.post("/predict", headers=link).status_code == 403


def test_a_browser_is_told_to_load_nothing_from_elsewhere(client: TestClient) -> None:
    headers = client.get("/").headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "http" not in policy
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    for page in ("/docs", "/redoc"):  # they would load scripts from elsewhere
        assert client.get(page).status_code == 404


def test_where_a_token_is_asked_for_nothing_is_answered_without_it() -> None:
    with opened(AppSettings(door=Door("s3cret"))) as guarded:
        for path in ("/", "/models", "/runs", "/openapi.json", "/static/app.js"):
            assert guarded.get(path).status_code == 401, path
        assert guarded.get("/health").status_code == 200
        asks = guarded.get("/", headers={"accept": "text/html,*/*"})
        assert (asks.status_code, "wants its token" in asks.text) == (401, True)
        assert guarded.get("/models", headers={"authorization": "Bearer wrong"}).status_code == 401
        assert guarded.get("/models", headers={"authorization": "Bearer s3cret"}).status_code == 200
        assert guarded.get("/?token=wrong").status_code == 401
        assert guarded.get("/?token=s3cret").status_code == 200  # by way of a cookie
        assert guarded.get("/models").status_code == 200
    with opened(AppSettings(door=Door("p&q#1+2 %"))) as guarded:
        assert guarded.get("/", params={"token": "p&q#1+2 %"}).status_code == 200
        assert guarded.get("/models").status_code == 200
    with opened(AppSettings()) as unguarded:
        assert unguarded.get("/?token=old").status_code == 200


def test_this_machine_needs_no_token_and_a_network_gets_one() -> None:
    assert make_door(ServerOptions()).token == ""
    assert make_door(ServerOptions(host="localhost")).token == ""
    made = make_door(ServerOptions(host="0.0.0.0"))
    assert len(made.token) > 20
    assert made.token != make_door(ServerOptions(host="0.0.0.0")).token
    assert make_door(ServerOptions(host="0.0.0.0", no_token=True)).token == ""
    assert make_door(ServerOptions(token="own")).token == "own"
    assert make_door(ServerOptions(host="scanner.example")).knows_host("scanner.example")
    with pytest.raises(UserError, match="exclude one another"):
        make_door(ServerOptions(token="own", no_token=True))
    for token in ("пароль", "a\nb"):
        with pytest.raises(UserError, match="--token: only letters, digits and signs of ASCII"):
            make_door(ServerOptions(token=token))


def test_a_port_that_is_taken_and_a_name_that_nobody_knows_are_one_line() -> None:
    with open_socket("127.0.0.1", 0) as taken, pytest.raises(UserError, match="cannot be served"):
        open_socket("127.0.0.1", taken.getsockname()[1])
    with pytest.raises(UserError, match=r"a\.\.b:0: cannot be served"):
        open_socket("a..b", 0)
    with open_socket("::1", 0) as other:
        assert other.family == socket.AF_INET6


def test_without_a_folder_for_temporary_files_no_address_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    said: list[str] = []
    with pytest.raises(UserError, match=r"^no folder for temporary files can be written \(.*\); name one with TMPDIR$"):
        serve(ServerOptions(port=0), said.append)
    assert said == []


def test_what_is_printed_says_who_can_use_it() -> None:
    assert describe_start(ServerOptions(), Door(), 8765)[0].startswith("Tumorline is at http://127.0.0.1:8765/ ")
    network = describe_start(ServerOptions(host="0.0.0.0"), Door("abc"), 80)
    assert "http://127.0.0.1:80/?token=abc" in network[0]
    assert "whoever has the token" in network[1]
    assert "/?token=p%26q%231%2B2+%25  (" in describe_start(ServerOptions(), Door("p&q#1+2 %"), 80)[0]
    assert "ANYBODY" in describe_start(ServerOptions(host="0.0.0.0"), Door(), 80)[1]


def test_a_run_page_is_in_a_sandbox_and_reaches_nothing_else(runs: Path) -> None:
    with opened(AppSettings(runs=runs)) as client:
        (run,) = client.get("/runs").json()
        assert (run["name"], run["page"], run["state"]) == ("frozen", "report", "evaluated")
        assert 0 < run["dice"] < 1
        page = client.get(f"/runs/{run['key']}")
        assert "A report" in page.text
        policy = page.headers["content-security-policy"]
        assert policy.startswith("sandbox allow-scripts")
        assert "allow-same-origin" not in policy
        assert "connect-src 'none'" in policy
        place = page.url.path.removesuffix("report.html")
        sandboxed = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}
        assert client.get(f"{place}pictures/0.png", headers=sandboxed).content == png()
        for name in ("link.html", "..%2F..%2Fsecret.html", "%2Fetc%2Fpasswd", "model.safetensors", "a%00"):
            assert client.get(place + name).status_code == 404, name
        secret = place.split("/")[2]
        assert client.get(place.replace(secret, "guess") + "report.html").status_code == 404
        assert client.get("/runs/..%2F..").status_code == 404
        assert "frozen" in [model["name"] for model in client.get("/models").json()]


def test_without_the_extra_one_line_says_what_to_install(tmp_path: Path) -> None:
    hidden = "import sys; sys.modules.update(dict.fromkeys(('fastapi', 'starlette', 'uvicorn', 'python_multipart')))"
    code = f"{hidden}; sys.argv = ['tumorline', 'app']; from tumorline.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: the app needs the 'app' extra: pip install 'tumorline[app]'\n"
