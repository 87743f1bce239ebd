"""Files over HTTP: resumed where they broke off, checked before they get their name."""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx2

from tumorline.errors import UserError
from tumorline.fetch.web import MOST_BYTES, Fault, Web, header_number, shown_url
from tumorline.files import flush, require_space, write_json, writing
from tumorline.progress import Progress


@dataclass(frozen=True)
class RemoteFile:
    """A file to bring. `size` in bytes and `md5` in hex where they are known before; `authorise` gives the header."""

    name: str
    url: str
    size: int | None = None
    md5: str | None = None
    authorise: Callable[[], str] | None = None


@dataclass(frozen=True)
class Note:
    """What the server said about the file that a part belongs to; kept beside the part."""

    validator: str = ""
    size: int | None = None
    md5: str | None = None


def download(web: Web, remote: RemoteFile, folder: Path, progress: Progress) -> None:
    """Bring `folder / remote.name`, whole and verified; what breaks off stays as NAME.part and is gone on with.

    `progress(done, total)` counts bytes. Raises UserError; a part that is wrong is removed, one that is short is kept.
    """
    target = folder / remote.name
    if target.is_file() and not _mismatch(target, Note("", remote.size, remote.md5)):
        return
    part = Part(target)
    web.retrying(lambda: _transfer(web, remote, part, progress))
    if fault := _mismatch(part.path, part.note):
        part.discard()
        raise UserError(f"{shown_url(remote.url)}: {remote.name} {fault}; it was removed, run the command again")
    flush(part.path)
    part.path.replace(target)
    part.discard()


class Part:
    """NAME.part, what has arrived of a file, and NAME.part.json, the note of which file it belongs to."""

    def __init__(self, target: Path) -> None:
        self.path = target.with_name(f"{target.name}.part")
        self.note_path = target.with_name(f"{target.name}.part.json")

    @property
    def note(self) -> Note:
        try:
            return Note(**json.loads(self.note_path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return Note()

    @property
    def arrived(self) -> int:
        """Bytes to go on from: 0 where nothing says which version of the file they belong to, or how long that is."""
        is_identified = self.note.validator and self.note.size
        return self.path.stat().st_size if is_identified and self.path.is_file() else 0

    def restart(self, note: Note) -> None:
        """Empty the part before the note changes, so that bytes and note never belong to different files."""
        self.path.write_bytes(b"")
        write_json(self.note_path, asdict(note))

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self.note_path.unlink(missing_ok=True)


def _transfer(web: Web, remote: RemoteFile, part: Part, progress: Progress) -> None:
    if part.arrived and part.arrived == part.note.size:
        return
    headers = {"Authorization": remote.authorise()} if remote.authorise else {}
    if part.arrived:
        headers |= {"Range": f"bytes={part.arrived}-", "If-Range": part.note.validator}
    with web.stream(remote.url, headers) as response:
        if response.status_code == 200:
            part.restart(_describe_whole(response, remote))
        else:
            _expect_continuation(response, part)
        require_space(part.path.parent, (part.note.size or 0) - part.path.stat().st_size, "to download")
        _append(response, part, progress)


def _describe_whole(response: httpx2.Response, remote: RemoteFile) -> Note:
    """What a whole answer says about its file. Raises UserError where that cannot be the file of the list."""
    size = header_number(response.headers.get("content-length", ""))
    if None not in (size, remote.size) and size != remote.size:
        sizes = f"the server announces {size} bytes, the list of files {remote.size}"
        raise UserError(f"{shown_url(remote.url)}: {sizes}; nothing was kept, run the command again later")
    md5 = remote.md5 or _google_md5(response.headers.get("x-goog-hash", ""))
    delimited = "chunked" in response.headers.get("transfer-encoding", "")
    if size is None and remote.size is None and not md5 and not delimited:
        reason = "the server does not say how long the file is, so that nothing shows whether it is whole"
        raise UserError(f"{shown_url(remote.url)}: {reason}; run the command again later")
    return Note(_validator(response), remote.size if size is None else size, md5)


def _expect_continuation(response: httpx2.Response, part: Part) -> None:
    """Raise Fault, without the part, where the answer is not the rest of the same file."""
    expected = rf"bytes {part.arrived}-[0-9]+/({part.note.size}|\*)"
    continues = re.fullmatch(expected, response.headers.get("content-range", ""))
    same = _validator(response) in ("", part.note.validator)
    if response.status_code != 206 or not part.arrived or not continues or not same:
        part.discard()
        raise Fault(f"{shown_url(response.url)}: what has arrived is not the begin of the server's file (any more)")


def _append(response: httpx2.Response, part: Part, progress: Progress) -> None:
    done, total = part.path.stat().st_size, part.note.size
    with part.path.open("ab") as file:
        for chunk in response.iter_raw():
            done += len(chunk)
            if done > (total or MOST_BYTES):
                break
            with writing(part.path):
                file.write(chunk)
                file.flush()
            progress(done, total or done)
    if done > (total or MOST_BYTES):
        part.discard()
        raise UserError(
            f"{shown_url(response.url)}: more than the {total or MOST_BYTES} bytes announced; nothing was kept"
        )
    if total is not None and done < total:
        raise Fault(f"{shown_url(response.url)}: broke off after {done} of {total} bytes")


def _mismatch(path: Path, note: Note) -> str:
    """What is wrong with a file; empty where size and checksum are right or unknown."""
    size = path.stat().st_size
    if note.size is not None and size != note.size:
        return f"has {size} bytes, expected {note.size}"
    if note.md5:
        with path.open("rb") as file:
            md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        if md5 != note.md5:
            return f"has the wrong checksum (MD5 {md5}, expected {note.md5})"
    return ""


def _validator(response: httpx2.Response) -> str:
    """What If-Range accepts: a strong ETag, else the date; empty where there is neither."""
    etag: str = response.headers.get("etag", "")
    validator = etag if etag.startswith('"') else response.headers.get("last-modified", "")
    return validator if re.fullmatch(r"[ -~]{1,200}", validator) else ""


def _google_md5(header: str) -> str | None:
    """MD5 in hex of a header like 'crc32c=...,md5=BASE64', as Google's storage gives it."""
    md5 = re.search(r"md5=([A-Za-z0-9+/]{22}==)", header)
    try:
        return base64.b64decode(md5[1]).hex() if md5 else None
    except binascii.Error:
        return None
