import base64
import contextlib
import hashlib
import io
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import numpy as np
import pytest

from tests.conftest import refused_in_one_line
from tests.fetch.hostile_server import Answer, File, Server, hanging, serving, status
from tumorline.data.source import open_source
from tumorline.errors import UserError
from tumorline.fetch import Patience, fetch
from tumorline.fetch.archive import ArchiveError, Limits, extract, read_members
from tumorline.fetch.download import RemoteFile, download
from tumorline.fetch.job import FetchResult
from tumorline.fetch.web import Web
from tumorline.files import alone_in

QUICK = Patience(timeout_s=5, tries=3, pause_s=0.01)
NOISE = np.random.default_rng(0).bytes(200_000)
ARTICLE = "/articles/1512427"
KAGGLE = "/datasets/download/nikhilroxtomar/brain-tumor-segmentation"
LGG = "/datasets/download/mateuszbuda/lgg-mri-segmentation"
TOKEN = "KGAT_0123456789"


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_CONFIG_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAGGLE_API_TOKEN", TOKEN)


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


PARTS = {
    "a.zip": zipped({"1.mat": NOISE[:60_000], "2.mat": b"two"}),
    "b.zip": zipped({"3.mat": b"three"}),
    "cvind.mat": b"folds",
}
PAIRS = zipped({"images/1.png": NOISE[:50_000], "masks/1.png": b"mask"})


def list_files(server: Server, files: dict[str, bytes], **changes: Any) -> None:
    """Serve files as figshare's article; `changes` replaces values of each entry of the list."""
    entries = []
    for name, content in files.items():
        server.routes.setdefault(f"/{name}", File(content))
        entry = {"name": name, "size": len(content), "computed_md5": hashlib.md5(content).hexdigest()}
        entries.append({**entry, "download_url": f"{server.url}/{name}", **changes})
    server.routes[ARTICLE] = File(json.dumps({"title": "brain tumor dataset", "files": entries}).encode())


def run(server: Server, folder: Path, name: str = "figshare", patience: Patience = QUICK) -> FetchResult:
    return fetch(name, folder, base_url=server.url, patience=patience)


def failing(server: Server, folder: Path, name: str = "figshare", patience: Patience = QUICK) -> str:
    """The one line of a fetch that fails and leaves nothing that looks whole."""
    with refused_in_one_line() as caught:
        run(server, folder, name, patience)
    assert not folder.exists()
    return str(caught.value)


def work(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.part")


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


# ---------------------------------------------------------------- whole sets


def test_figshare_is_unpacked_beside_its_folds_terms_and_record(server: Server, tmp_path: Path) -> None:
    list_files(server, PARTS)
    result = run(server, tmp_path / "new" / "cheng")
    folder = tmp_path / "new" / "cheng"
    assert names(folder) == {"1.mat", "2.mat", "3.mat", "cvind.mat", "LICENSE-DATA.txt", "fetched.json"}
    assert (folder / "1.mat").read_bytes() == NOISE[:60_000]
    assert (result["status"], result["files"], result["bytes"]) == ("fetched", 4, 60_000 + 3 + 5 + 5)
    assert "CC BY 4.0" in (folder / "LICENSE-DATA.txt").read_text()
    assert "Jun Cheng" in (folder / "LICENSE-DATA.txt").read_text()
    assert not work(folder).exists()


def test_the_terms_are_told_before_the_first_request(server: Server, tmp_path: Path) -> None:
    list_files(server, PARTS)
    told: list[tuple[str, int]] = []
    fetch("figshare", tmp_path / "x", base_url=server.url, notify=lambda line: told.append((line, len(server.seen))))
    assert [line.split(":")[0] for line, requests in told if requests == 0] == [
        "Cheng et al.",
        "Licence",
        "Attribution",
        "Source",
        "The terms are those of the source; cite it wherever you use the data.",
    ]


def test_progress_ends_at_the_size_of_each_file(server: Server, tmp_path: Path) -> None:
    list_files(server, PARTS)
    steps: list[tuple[int, int]] = []
    fetch("figshare", tmp_path / "x", base_url=server.url, progress=lambda *step: steps.append(step))
    assert {step for step in steps if step[0] == step[1]} == {(len(part), len(part)) for part in PARTS.values()}


def test_a_second_run_asks_nothing_of_the_network(server: Server, tmp_path: Path) -> None:
    list_files(server, PARTS)
    first = run(server, tmp_path / "x")
    server.seen.clear()
    second = run(server, tmp_path / "x")
    assert second == {**first, "status": "present"}
    assert not server.seen


@pytest.mark.usefixtures("token")
def test_kaggle_is_a_source_that_tumorline_reads(server: Server, tmp_path: Path) -> None:
    server.routes[KAGGLE] = File(PAIRS)
    result = run(server, tmp_path / "x", "kaggle")
    assert [case.id for case in open_source(tmp_path / "x").cases] == ["1"]
    assert result["remarks"] == []


@pytest.mark.usefixtures("token")
def test_a_nested_folder_is_taken_off_and_strangers_are_left_out(server: Server, tmp_path: Path) -> None:
    files = {"set/images/1.png": b"i", "set/masks/1.png": b"m", "__MACOSX/set/._1.png": b"x", "notes.txt": b"n"}
    server.routes[KAGGLE] = File(zipped(files))
    remarks = run(server, tmp_path / "x", "kaggle")["remarks"]
    assert names(tmp_path / "x") == {"images/1.png", "masks/1.png", "LICENSE-DATA.txt", "fetched.json"}
    assert remarks == ["archive.zip: left out what is no part of the set: 1 of 4 files, such as 'notes.txt'"]


@pytest.mark.usefixtures("token")
@pytest.mark.parametrize(
    ("second", "verdict"), [(b"mask", "a second copy of kaggle_3m/"), (b"else", "1 of them differ from kaggle_3m/")]
)
def test_the_second_copy_of_lgg_is_left_out(server: Server, tmp_path: Path, second: bytes, verdict: str) -> None:
    first = {"kaggle_3m/P/P_1.tif": b"slice", "kaggle_3m/P/P_1_mask.tif": b"mask", "kaggle_3m/data.csv": b"table"}
    copy = {f"lgg-mri-segmentation/{name}": content for name, content in first.items()}
    copy["lgg-mri-segmentation/kaggle_3m/P/P_1_mask.tif"] = second
    server.routes[LGG] = File(zipped({**copy, **first}))
    result = run(server, tmp_path / "x", "lgg")
    assert names(tmp_path / "x") == {*first, "LICENSE-DATA.txt", "fetched.json"}
    assert result["remarks"] == [f"archive.zip: left out lgg-mri-segmentation/kaggle_3m/ (3 files: {verdict})"]
    assert "NON-COMMERCIAL" in (tmp_path / "x" / "LICENSE-DATA.txt").read_text()


@pytest.mark.usefixtures("token")
def test_an_archive_of_something_else_is_named(server: Server, tmp_path: Path) -> None:
    server.routes[KAGGLE] = File(zipped({"cats/1.png": b"cat"}))
    assert "archive.zip: holds nothing where the set's files are expected; found 'cats'" in failing(
        server, tmp_path / "x", "kaggle"
    )


def test_two_archives_with_the_same_file_are_refused(server: Server, tmp_path: Path) -> None:
    list_files(server, {"a.zip": zipped({"1.mat": b"1"}), "b.zip": zipped({"more/1.mat": b"2"})})
    assert "b.zip: entry '1.mat' is there twice" in failing(server, tmp_path / "x")


# ---------------------------------------------------------------- folders


def test_folders_in_use_are_refused(server: Server, tmp_path: Path) -> None:
    list_files(server, PARTS)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    run(server, tmp_path / "done")
    server.seen.clear()
    for name, folder, message in (
        ("figshare", "mine", "mine: holds something else already; give a folder that does not exist yet"),
        ("figshare", "file", "file: a file or the root of a disk; give a folder that does not exist yet"),
        ("figshare", "/", "/: holds something else already"),
        ("kaggle", "done", "done: holds the set 'figshare' already; give another folder for 'kaggle'"),
    ):
        with pytest.raises(UserError, match=message):
            run(server, tmp_path / folder, name)
    assert names(tmp_path / "mine") == {"thesis.txt"}
    assert not server.seen


def test_an_empty_folder_is_filled(server: Server, tmp_path: Path) -> None:
    list_files(server, PARTS)
    (tmp_path / "x").mkdir()
    assert run(server, tmp_path / "x")["status"] == "fetched"


def test_an_empty_disk_is_refused_before_the_download(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x").mkdir()
    monkeypatch.setattr(os.path, "ismount", lambda path: path == tmp_path / "x")
    with pytest.raises(UserError, match="x: a file or the root of a disk"):
        run(server, tmp_path / "x")
    assert not server.seen


def test_a_set_that_has_lost_a_file_is_not_called_whole(server: Server, tmp_path: Path) -> None:
    list_files(server, PARTS)
    run(server, tmp_path / "x")
    (tmp_path / "x" / "2.mat").unlink()
    with pytest.raises(UserError, match=r"1 of 4 files are missing or changed, such as 2\.mat; remove the folder"):
        run(server, tmp_path / "x")


def test_a_work_folder_of_something_else_is_not_touched(server: Server, tmp_path: Path) -> None:
    list_files(server, PARTS)
    work(tmp_path / "x").mkdir()
    (work(tmp_path / "x") / "thesis.txt").write_text("mine")
    assert "x.part: holds something else; remove it" in failing(server, tmp_path / "x")
    assert names(work(tmp_path / "x")) == {"thesis.txt"}


def test_two_at_once_do_not_write_into_one_folder(server: Server, tmp_path: Path) -> None:
    list_files(server, PARTS)
    with alone_in(work(tmp_path / "cheng")):
        assert "cheng.part: another process is at work there" in failing(server, tmp_path / "cheng")
    assert run(server, tmp_path / "cheng")["status"] == "fetched"
    assert not work(tmp_path / "cheng").exists()


def test_a_begun_set_is_not_mixed_with_another(server: Server, tmp_path: Path) -> None:
    list_files(server, PARTS)
    server.routes["/b.zip"] = status(403)
    failing(server, tmp_path / "x")
    assert "holds a begun download of 'figshare'" in failing(server, tmp_path / "x", "kaggle")


def test_a_full_disk_is_noticed_before_the_download(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    list_files(server, {"a.zip": PARTS["a.zip"]}, size=880_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10**9, 0, 10**9))
    assert "1760.0 MB are needed to download and unpack and 1000.0 MB are free" in failing(server, tmp_path / "x")
    assert [seen.path for seen in server.seen] == [ARTICLE]


# ---------------------------------------------------------------- broken downloads


def test_a_download_that_breaks_off_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    list_files(server, PARTS)
    server.routes["/a.zip"] = File(PARTS["a.zip"], breaks=[1000, 2000])
    run(server, tmp_path / "x")
    assert server.ranges("/a.zip") == [None, "bytes=1000-", "bytes=3000-"]
    assert [seen.headers["if-range"] for seen in server.seen if "range" in seen.headers] == ['"one"', '"one"']
    assert (tmp_path / "x" / "1.mat").read_bytes() == NOISE[:60_000]


def test_what_has_arrived_is_kept_for_the_next_run(server: Server, tmp_path: Path) -> None:
    list_files(server, PARTS)
    server.routes["/a.zip"] = File(PARTS["a.zip"], breaks=[1000, 10, 10])
    message = failing(server, tmp_path / "x")
    assert "/a.zip: " in message
    assert "gave up after 3 attempts" in message
    assert f"what has arrived is kept in {work(tmp_path / 'x')}" in message
    assert {"files/a.zip.part", "files/a.zip.part.json", "LICENSE-DATA.txt"} < names(work(tmp_path / "x"))
    run(server, tmp_path / "x")
    assert server.ranges("/a.zip")[-1] == "bytes=1020-"
    assert (tmp_path / "x" / "1.mat").read_bytes() == NOISE[:60_000]


def test_whole_files_are_not_brought_again(server: Server, tmp_path: Path) -> None:
    list_files(server, PARTS)
    server.routes["/b.zip"] = status(404)
    assert "/b.zip: status 404, there is no such file" in failing(server, tmp_path / "x")
    server.routes["/b.zip"] = File(PARTS["b.zip"])
    run(server, tmp_path / "x")
    assert len(server.ranges("/a.zip")) == 1


@pytest.mark.parametrize("vice", [{"ignores_range": True}, {"etag": 'W/"weak"'}, {"etag": ""}, {"etag": '"\xe9"'}])
def test_a_server_that_cannot_go_on_starts_anew(server: Server, tmp_path: Path, vice: dict[str, Any]) -> None:
    list_files(server, PARTS)
    server.routes["/a.zip"] = File(PARTS["a.zip"], breaks=[1000], **vice)
    run(server, tmp_path / "x")
    assert (tmp_path / "x" / "1.mat").read_bytes() == NOISE[:60_000]


@pytest.mark.usefixtures("token")
@pytest.mark.parametrize("ignores_if_range", [False, True])
def test_a_file_that_changed_meanwhile_is_brought_anew(server: Server, tmp_path: Path, ignores_if_range: bool) -> None:
    server.routes[KAGGLE] = File(PAIRS, breaks=[1000, 10, 10])
    failing(server, tmp_path / "x", "kaggle")
    later = zipped({"images/1.png": NOISE[1:50_001], "masks/1.png": b"more"})
    assert len(later) == len(PAIRS)
    server.routes[KAGGLE] = File(later, etag='"two"', ignores_if_range=ignores_if_range)
    run(server, tmp_path / "x", "kaggle")
    assert (tmp_path / "x" / "masks" / "1.png").read_bytes() == b"more"
    assert (tmp_path / "x" / "images" / "1.png").read_bytes() == NOISE[1:50_001]


def test_a_wrong_checksum_removes_the_part(server: Server, tmp_path: Path) -> None:
    list_files(server, {"a.zip": PARTS["a.zip"]}, computed_md5="0" * 32)
    message = failing(server, tmp_path / "x")
    assert "a.zip has the wrong checksum (MD5 " in message
    assert "expected 00000000000000000000000000000000); it was removed" in message
    assert not work(tmp_path / "x").exists()


@pytest.mark.usefixtures("token")
@pytest.mark.parametrize("right", [True, False])
def test_the_checksum_of_googles_header_is_held_against_the_file(server: Server, tmp_path: Path, right: bool) -> None:
    digest = base64.b64encode(hashlib.md5(PAIRS if right else b"").digest()).decode()
    server.routes[KAGGLE] = File(PAIRS, headers={"x-goog-hash": f"crc32c=n03x6A==,md5={digest}"})
    if right:
        assert run(server, tmp_path / "x", "kaggle")["files"] == 2
    else:
        assert "archive.zip has the wrong checksum" in failing(server, tmp_path / "x", "kaggle")


@pytest.mark.parametrize(
    ("vice", "message"),
    [
        ({"announced": 90_000}, "the server announces 90000 bytes, the list of files "),
        ({"announced": 9}, "the server announces 9 bytes, the list of files "),
        ({"silent": True, "content": PARTS["a.zip"] + b"more"}, "more than the "),
        ({"silent": True, "content": PARTS["a.zip"][:-1]}, "broke off after "),
        ({"chunked": True, "content": PARTS["a.zip"][:-1]}, "broke off after "),
    ],
)
def test_a_server_that_lies_about_the_length(
    server: Server, tmp_path: Path, vice: dict[str, Any], message: str
) -> None:
    list_files(server, {"a.zip": PARTS["a.zip"]})
    server.routes["/a.zip"] = File(**{"content": PARTS["a.zip"], **vice})
    assert message in failing(server, tmp_path / "x")


def test_a_missing_length_is_no_fault_where_the_list_knows_it(server: Server, tmp_path: Path) -> None:
    list_files(server, PARTS)
    server.routes["/a.zip"] = File(PARTS["a.zip"], silent=True)
    assert run(server, tmp_path / "x")["files"] == 4


@pytest.mark.usefixtures("token")
def test_an_end_that_nothing_marks_is_refused(server: Server, tmp_path: Path) -> None:
    server.routes[KAGGLE] = File(PAIRS, silent=True)
    assert "the server does not say how long the file is" in failing(server, tmp_path / "x", "kaggle")


@pytest.mark.parametrize(
    ("answer", "message", "attempts"),
    [
        (status(401), "status 401, the credentials were not accepted", 1),
        (status(403), "status 403, access is refused", 1),
        (status(404), "status 404, there is no such file", 1),
        (status(429), "status 429, too many requests; gave up after 3 attempts", 3),
        (status(500), "status 500, Internal Server Error; gave up after 3 attempts", 3),
        (status(202, x_amzn_waf_action="challenge"), "answers programs with a browser check (status 202)", 1),
        (status(204), "status 204, No Content", 1),
        (status(416), "gave up after 3 attempts", 3),
        (status(302, Location="/a.zip"), "the server redirects in a circle", 9),
        (status(302, Location="ftp://127.0.0.1/a.zip"), "the server leads to no usable address", 1),
        (status(302, Location="http://["), "gave up after 3 attempts", 3),
        (status(302, Location="/gone%0Aaway%1B"), "/gone%0Aaway%1B: status 404", 1),
    ],
)
def test_each_bad_answer_is_one_line(
    server: Server, tmp_path: Path, answer: Answer, message: str, attempts: int
) -> None:
    list_files(server, {"a.zip": PARTS["a.zip"]})
    server.routes["/a.zip"] = answer
    line = failing(server, tmp_path / "x")
    assert line.startswith(f"{server.url}/")
    assert message in line
    assert len(server.ranges("/a.zip")) == attempts
    assert not work(tmp_path / "x").exists()


def test_a_passing_fault_is_tried_again_after_the_time_that_the_server_asks_for(server: Server, tmp_path: Path) -> None:
    list_files(server, PARTS)
    answers: Iterator[Answer] = iter([status(503, Retry_After="1"), File(PARTS["a.zip"])])
    server.routes["/a.zip"] = lambda request: next(answers)(request)
    begun = time.monotonic()
    run(server, tmp_path / "x")
    assert time.monotonic() - begun >= 1


def test_a_server_that_hangs_is_given_up(server: Server, tmp_path: Path) -> None:
    list_files(server, {"a.zip": PARTS["a.zip"]})
    server.routes["/a.zip"] = hanging(1.0)
    assert "timed out; gave up after 2 attempts" in failing(server, tmp_path / "x", patience=Patience(0.2, 2, 0.01))


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with serving() as server:
        pass
    assert "gave up after 3 attempts" in failing(server, tmp_path / "x")
    assert not work(tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<html>Sign in to the hotel's network</html>", "not figshare's list of files (answer: Invalid JSON"),
        (b'{"message": "gone"}', "not figshare's list of files (files: Field required)"),
        (b'{"files": []}', "not figshare's list of files (files: "),
        (b" " * 2_000_000, "the answer is longer than 1048576 bytes"),
    ],
)
def test_a_list_that_is_none(server: Server, tmp_path: Path, content: bytes, message: str) -> None:
    server.routes[ARTICLE] = File(content)
    assert message in failing(server, tmp_path / "x")


@pytest.mark.parametrize("name", ["../a.zip", "/etc/a.zip", "C:a.zip", "a\\b.zip", "nul.zip", "b/a.zip", "a.zip "])
def test_a_list_with_an_unsafe_name_is_refused(server: Server, tmp_path: Path, name: str) -> None:
    list_files(server, {"a.zip": PARTS["a.zip"]}, name=name)
    assert "refused, nothing was fetched" in failing(server, tmp_path / "x")
    assert [seen.path for seen in server.seen] == [ARTICLE]


@pytest.mark.parametrize("address", ["files/1", "", "ftp://127.0.0.1/a.zip", "http://a b/\n"])
def test_a_list_with_an_unusable_address(server: Server, tmp_path: Path, address: str) -> None:
    list_files(server, {"a.zip": PARTS["a.zip"]}, download_url=address)
    assert "the server leads to no usable address" in failing(server, tmp_path / "x")


def test_a_proxy_that_cannot_be_used_is_named(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "gopher://user:secret@127.0.0.1")
    message = failing(server, tmp_path / "x")
    assert message.startswith("HTTP_PROXY, HTTPS_PROXY or ALL_PROXY: not the address of")
    assert "secret" not in message


def test_https_is_never_left(tmp_path: Path) -> None:
    asked = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(str(request.url))
        return httpx2.Response(302, headers={"Location": "http://mirror.example/a.zip?signature=secret"})

    with (
        Web("https://safe.example", QUICK, httpx2.MockTransport(answer)) as web,
        pytest.raises(UserError, match=r"^http://mirror\.example/a\.zip: the server leads away from https; refused"),
    ):
        download(web, RemoteFile("a.zip", "https://safe.example/a.zip"), tmp_path, lambda done, total: None)
    assert asked == ["https://safe.example/a.zip"]
    assert not names(tmp_path)


# ---------------------------------------------------------------- credentials


def sent(server: Server, path: str = KAGGLE) -> list[str | None]:
    return [seen.headers.get("authorization") for seen in server.seen if seen.path == path]


def basic(pair: str) -> str:
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


@pytest.mark.parametrize(
    ("variables", "files", "header"),
    [
        ({"KAGGLE_API_TOKEN": TOKEN, "KAGGLE_USERNAME": "me", "KAGGLE_KEY": "key"}, {}, f"Bearer {TOKEN}"),
        ({"KAGGLE_API_TOKEN": "{home}/token"}, {"token": f"{TOKEN}\n"}, f"Bearer {TOKEN}"),
        ({"KAGGLE_USERNAME": "me", "KAGGLE_KEY": "key"}, {}, basic("me:key")),
        ({}, {".kaggle/access_token": f"{TOKEN}\n"}, f"Bearer {TOKEN}"),
        ({}, {".kaggle/kaggle.json": '{"username": "me", "key": "key"}'}, basic("me:key")),
        (
            {"KAGGLE_CONFIG_DIR": "{home}/other"},
            {"other/kaggle.json": '{"username": "she", "key": "hers"}', ".kaggle/kaggle.json": "{}"},
            basic("she:hers"),
        ),
    ],
)
def test_credentials_are_found_where_kaggle_puts_them(
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    files: dict[str, str],
    header: str,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(home=tmp_path / "home"))
    for place, content in files.items():
        (tmp_path / "home" / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "home" / place).write_text(content)
    server.routes[KAGGLE] = File(PAIRS)
    run(server, tmp_path / "x", "kaggle")
    assert sent(server) == [header]


def test_missing_credentials_say_where_to_get_them(server: Server, tmp_path: Path) -> None:
    message = failing(server, tmp_path / "x", "kaggle")
    assert "https://www.kaggle.com/settings" in message
    assert "~/.kaggle/access_token" in message
    assert not server.seen
    assert not work(tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("place", "content"),
    [
        (".kaggle/kaggle.json", '{"username": "me", "key": "hush hush"}'),
        (".kaggle/kaggle.json", '{"username": "me", "secret": "hush"}'),
        (".kaggle/kaggle.json", "hush"),
        (".kaggle/kaggle.json", '["hush"]'),
        (".kaggle/access_token", "hush\nhush"),
    ],
)
def test_malformed_credentials_are_named_and_not_shown(
    server: Server, tmp_path: Path, place: str, content: str
) -> None:
    (tmp_path / "home" / ".kaggle").mkdir(parents=True)
    (tmp_path / "home" / place).write_text(content)
    message = failing(server, tmp_path / "x", "kaggle")
    assert str(tmp_path / "home" / place) in message
    assert "hush" not in message
    assert not server.seen


@pytest.mark.usefixtures("token")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_credentials_do_not_follow_a_redirect_elsewhere(server: Server, tmp_path: Path, host: str) -> None:
    with serving() as other:
        other.routes["/archive.zip?signature=s3cret"] = File(PAIRS, breaks=[1000, 1000])
        target = f"{other.url.replace('127.0.0.1', host)}/archive.zip?signature=s3cret"
        server.routes[KAGGLE] = status(302, Location=target)
        run(server, tmp_path / "x", "kaggle")
        assert sent(server) == [f"Bearer {TOKEN}"] * 3
        assert [seen.headers.get("range") for seen in other.seen] == [None, "bytes=1000-", "bytes=2000-"]
        assert not [seen for seen in other.seen if TOKEN in str(seen)]
    assert not [path for path in (tmp_path / "x").rglob("*.json") if TOKEN in path.read_text()]


@pytest.mark.usefixtures("token")
def test_messages_show_neither_credentials_nor_signatures(server: Server, tmp_path: Path) -> None:
    server.routes[KAGGLE] = status(302, Location="/signed?signature=s3cret")
    server.routes["/signed?signature=s3cret"] = status(403)
    message = failing(server, tmp_path / "x", "kaggle")
    assert f"{server.url}/signed: status 403" in message
    assert "s3cret" not in message
    assert TOKEN not in message


# ---------------------------------------------------------------- archives


class Entry(NamedTuple):
    """One entry of a zip file, with any name and any attribute."""

    name: str
    content: bytes = b"content"
    mode: int = 0o100644
    method: int = zipfile.ZIP_DEFLATED


def built(*entries: Entry) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for entry in entries:
            info = zipfile.ZipInfo("placeholder")
            info.filename, info.external_attr, info.create_system = entry.name, entry.mode << 16, 3
            archive.writestr(info, entry.content, entry.method)
    return buffer.getvalue()


def patched(archive: bytes, offset: int, value: int, kind: str = "<I", mark: bytes = b"PK\1\2") -> bytes:
    """The archive with one number behind each (central, by default) header replaced."""
    content = bytearray(archive)
    place = content.find(mark)
    while place >= 0:
        struct.pack_into(kind, content, place + offset, value)
        place = content.find(mark, place + 4)
    return bytes(content)


def overlapping() -> bytes:
    """Two entries in the directory, one content."""
    content = bytearray(built(Entry("images/1.png", NOISE[:100]), Entry("images/2.png", NOISE[:100])))
    second = content.find(b"PK\1\2", content.find(b"PK\1\2") + 4)
    struct.pack_into("<I", content, second + 42, 0)
    return bytes(content)


def corrupt() -> bytes:
    content = bytearray(built(Entry("images/1.png", NOISE[:100], method=zipfile.ZIP_STORED), Entry("masks/1.png")))
    content[60] ^= 1
    return bytes(content)


IMAGE, MASK = Entry("images/1.png"), Entry("masks/1.png")
WHOLE = built(IMAGE, MASK)
HOSTILE = {
    "slip": (built(IMAGE, MASK, Entry("../evil.png")), "leads out of the folder"),
    "inner slip": (built(IMAGE, MASK, Entry("images/../../evil.png")), "leads out of the folder"),
    "absolute": (built(IMAGE, MASK, Entry("/tmp/evil.png")), "is an absolute path"),
    "drive": (built(IMAGE, MASK, Entry("C:/evil.png")), "a character that some systems do not allow"),
    "backslash": (built(IMAGE, MASK, Entry("..\\evil.png")), "a character that some systems do not allow"),
    "escape": (built(IMAGE, MASK, Entry("images/\x1b[2J.png")), "a character that some systems do not allow"),
    "line": (built(IMAGE, MASK, Entry("images/a\nb.png")), "a character that some systems do not allow"),
    "zero": (built(IMAGE, MASK, Entry("images/a\0b.png")), "a character that some systems do not allow"),
    "device": (built(IMAGE, MASK, Entry("images/Aux.png")), "is a device name"),
    "dot": (built(IMAGE, MASK, Entry("images/2.png.")), "ends in a dot or blank"),
    "empty part": (built(IMAGE, MASK, Entry("images//2.png")), "has an empty part"),
    "long": (built(IMAGE, MASK, Entry(f"images/{'x' * 300}.png")), "is too long"),
    "symlink": (built(IMAGE, MASK, Entry("images/2.png", b"/etc/passwd", 0o120777)), "is a link or device"),
    "fifo": (built(IMAGE, MASK, Entry("images/2.png", b"", 0o010644)), "is a link or device"),
    "twice": (built(IMAGE, MASK, IMAGE), "'images/1.png' is there twice"),
    "case": (built(IMAGE, MASK, Entry("images/a.png"), Entry("images/A.png")), "names differ by case only"),
    "case of a folder": (built(IMAGE, MASK, Entry("Images/2.png")), "names differ by case only"),
    "accents": (built(IMAGE, MASK, Entry("images/\xe9"), Entry("images/e\u0301")), "names differ by case only"),
    "file and folder": (built(IMAGE, MASK, Entry("images/1.png/2.png")), "file and folder in one"),
    "encrypted": (patched(WHOLE, 8, 1, "<H"), "is encrypted"),
    "method": (built(IMAGE, Entry("masks/1.png", method=zipfile.ZIP_LZMA)), "is packed by method 14"),
    "crc": (corrupt(), "Bad CRC-32"),
    "ratio": (built(IMAGE, Entry("masks/1.png", NOISE), Entry("x.png", bytes(2_000_000))), "up to 100 times is usual"),
    "many": (
        built(IMAGE, MASK, *(Entry(f"images/b{n}", bytes(900_000)) for n in range(3))),
        "up to 100 times is usual",
    ),
    "says less": (patched(WHOLE, 24, 3), "not a whole zip file"),
    "says more": (patched(WHOLE, 24, 30), "has not the 30 bytes that the archive says"),
    "overlap": (overlapping(), "entries overlap"),
    "before the begin": (patched(WHOLE, 16, 10_000, mark=b"PK\5\6"), "entries overlap or lie outside of the file"),
    "two names": (patched(WHOLE, 30, ord("q"), "<B", b"PK\3\4"), "not a whole zip file (File name in directory"),
    "cut": (WHOLE[:-30], "not a whole zip file"),
    "html": (b"<html>sign in</html>", "not a whole zip file"),
    "empty": (built(), "holds no entries"),
}


@pytest.mark.usefixtures("token")
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_archives_leave_nothing(server: Server, tmp_path: Path, name: str) -> None:
    content, message = HOSTILE[name]
    server.routes[KAGGLE] = File(content)
    line = failing(server, tmp_path / "a" / "b" / "x", "kaggle")
    assert line.startswith("archive.zip: ")
    assert message in line
    assert "the archive was removed" in line
    left = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"fetch.json", "LICENSE-DATA.txt"}
    server.routes[KAGGLE] = File(WHOLE)
    assert run(server, tmp_path / "a" / "b" / "x", "kaggle")["files"] == 2


@pytest.mark.usefixtures("token")
def test_blank_masks_shrink_more_than_a_bomb_and_are_welcome(server: Server, tmp_path: Path) -> None:
    entries = [Entry(f"{kind}/{n}.tif", bytes(65_000)) for n in range(3) for kind in ("images", "masks")]
    server.routes[KAGGLE] = File(built(*entries))
    assert run(server, tmp_path / "x", "kaggle")["bytes"] == 6 * 65_000


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(entries=1), "a.zip: holds 2 entries; at most 1 are accepted"),
        (Limits(size=8), "a.zip: unpacks to 14 bytes; at most 8 are accepted"),
    ],
)
def test_the_limits_hold_for_all_archives_together(tmp_path: Path, limits: Limits, message: str) -> None:
    first, second = tmp_path / "b.zip", tmp_path / "a.zip"
    first.write_bytes(built(IMAGE))
    second.write_bytes(built(MASK))
    assert len(read_members([first], limits)) == 1
    with pytest.raises(UserError, match=message):
        read_members([first, second], limits)


@pytest.mark.usefixtures("token")
def test_a_second_name_in_an_extra_field_is_not_followed(server: Server, tmp_path: Path) -> None:
    """Python 3.12 and later let the Unicode path field (APPNOTE 4.6.9) replace the name."""
    name, evil = b"images/2.png", b"../../../evil.png"
    info = zipfile.ZipInfo(name.decode())
    field = struct.pack("<BL", 1, zlib.crc32(name)) + evil
    info.extra = struct.pack("<HH", 0x7075, len(field)) + field
    buffer = io.BytesIO(WHOLE)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(info, b"content")
    server.routes[KAGGLE] = File(buffer.getvalue())
    with contextlib.suppress(UserError):
        run(server, tmp_path / "a" / "x", "kaggle")
    assert server.ranges(KAGGLE) == [None]
    assert not list(tmp_path.rglob("evil.png"))


@pytest.mark.usefixtures("token")
def test_a_disk_too_full_to_unpack_keeps_the_archive(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.routes[KAGGLE] = File(built(*(Entry(f"{kind}/1.tif", bytes(400_000)) for kind in ("images", "masks"))))
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10**9, 0, 500_000))
    assert "0.8 MB are needed to unpack and 0.5 MB are free" in failing(server, tmp_path / "x", "kaggle")
    assert "files/archive.zip" in names(work(tmp_path / "x"))


def test_damage_anywhere_in_an_archive_is_an_error_of_that_archive(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    archive, refused = tmp_path / "a.zip", 0
    for number in range(300):
        content = bytearray(WHOLE)
        for place in random.integers(0, len(content), 3):
            content[place] = random.integers(256)
        archive.write_bytes(content)
        try:
            extract({member.name: member for member in read_members([archive])}, tmp_path / str(number))
        except ArchiveError:
            refused += 1
    assert 150 < refused < 300


# ---------------------------------------------------------------- killed processes


SLOW_UNPACKING = """
import time, zipfile
read = zipfile.ZipExtFile.read
zipfile.ZipExtFile.read = lambda *arguments: time.sleep(0.01) or read(*arguments)
"""
SLOW_FLUSH = "import os, time; os.sync = lambda: time.sleep(60)"


def start(server: Server, folder: Path, slowly: str = "") -> subprocess.Popen[bytes]:
    code = f"""{slowly}
import sys
from pathlib import Path
from tumorline.fetch import fetch
fetch('kaggle', Path(sys.argv[1]), base_url=sys.argv[2])
"""
    return subprocess.Popen([sys.executable, "-c", code, str(folder), server.url], env=dict(os.environ))


def kill_when(process: subprocess.Popen[bytes], reached: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not reached():
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < until, "it never came so far"
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.usefixtures("token")
def test_killed_during_the_download_and_run_again(server: Server, tmp_path: Path) -> None:
    content = zipped({"images/1.png": NOISE, "masks/1.png": b"mask"})
    server.routes[KAGGLE] = File(content, slow=0.02)
    part = work(tmp_path / "x") / "files" / "archive.zip.part"
    kill_when(start(server, tmp_path / "x"), lambda: part.is_file() and part.stat().st_size > 5000)
    arrived = part.stat().st_size
    assert not (tmp_path / "x").exists()
    server.routes[KAGGLE] = File(content)
    run(server, tmp_path / "x", "kaggle")
    assert server.ranges(KAGGLE) == [None, f"bytes={arrived}-"]
    assert (tmp_path / "x" / "images" / "1.png").read_bytes() == NOISE
    assert not work(tmp_path / "x").exists()


@pytest.mark.usefixtures("token")
@pytest.mark.parametrize(("slowly", "reached"), [(SLOW_UNPACKING, "images/1.png"), (SLOW_FLUSH, "fetched.json")])
def test_killed_before_the_folder_is_whole_and_run_again(
    server: Server, tmp_path: Path, slowly: str, reached: str
) -> None:
    files = {f"{kind}/{n}.png": b"%d" % n for n in range(100) for kind in ("images", "masks")}
    server.routes[KAGGLE] = File(zipped(files))
    kill_when(start(server, tmp_path / "x", slowly), (work(tmp_path / "x") / "unpacked" / reached).is_file)
    assert not (tmp_path / "x").exists()
    assert run(server, tmp_path / "x", "kaggle")["files"] == 200
    assert len(server.ranges(KAGGLE)) == 1
    assert not work(tmp_path / "x").exists()


@pytest.mark.usefixtures("token")
def test_killed_after_the_rename_and_run_again(server: Server, tmp_path: Path) -> None:
    server.routes[KAGGLE] = File(PAIRS)
    slowly = "import shutil, time; shutil.rmtree = lambda *arguments, **more: more or time.sleep(60)"
    kill_when(start(server, tmp_path / "x", slowly), (tmp_path / "x" / "fetched.json").is_file)
    assert run(server, tmp_path / "x", "kaggle")["status"] == "present"
    assert not work(tmp_path / "x").exists()


# ---------------------------------------------------------------- the command


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    call = [sys.executable, "-m", "tumorline", "data", "fetch", *arguments]
    return subprocess.run(call, capture_output=True, text=True, check=False)


def test_an_unknown_name_is_one_line_and_status_2(tmp_path: Path) -> None:
    result = command("kagle", str(tmp_path / "x"))
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "error: 'kagle' is no data set that can be fetched; did you mean 'kaggle'?\n"


def test_the_command_says_what_is_there(server: Server, tmp_path: Path) -> None:
    list_files(server, PARTS)
    run(server, tmp_path / "x")
    assert command("figshare", str(tmp_path / "x")).stdout.endswith(
        "x: 'figshare' is there already, 4 files; nothing was done\n"
    )
    result = json.loads(command("figshare", str(tmp_path / "x"), "--json").stdout)
    assert (result["status"], result["files"], result["licence"][:9]) == ("present", 4, "CC BY 4.0")


def test_the_command_without_credentials_tells_the_terms_and_one_error(tmp_path: Path) -> None:
    result = command("lgg", str(tmp_path / "x"))
    assert result.returncode == 2
    assert "NON-COMMERCIAL" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("error: Kaggle asks for credentials and none were found")
    assert os.listdir(tmp_path) == []
