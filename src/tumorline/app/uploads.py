"""The files of a request, streamed into a folder under names of our own: no name of a client reaches the disk."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO, NamedTuple
from urllib.parse import unquote_to_bytes

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from tumorline.app.limits import Limits, Refusal
from tumorline.escaping import one_line
from tumorline.formats import nifti
from tumorline.formats.decode import MATLAB_SUFFIX, PICTURE_SUFFIXES

FILE_FIELD, CHANNEL_FIELD = "file", "channel"
SUFFIXES = sorted({*nifti.SUFFIXES, *PICTURE_SUFFIXES, MATLAB_SUFFIX}, key=len, reverse=True)
"""What a file's own name may add to ours: one of these, and nothing else."""
LONGEST_NAME, LONGEST_FIELD = 300, 100
FORM = "multipart/form-data"
EXTENDED_NAME = re.compile(rb";\s*filename\*\s*=\s*(utf-8|iso-8859-1)'[^']*'([^\s;]+)", re.IGNORECASE)

logging.getLogger("python_multipart").setLevel(logging.ERROR)  # what it warns of is answered


class Upload(NamedTuple):
    """A file that was received."""

    shown: str
    """Its name, with folders, as the client has it: harmless to show, and used for nothing else on the disk."""
    path: Path
    channel: str = ""
    """The channel of the model that it is said to be."""

    @property
    def folder(self) -> str:
        return self.shown.rpartition("/")[0]

    @property
    def name(self) -> str:
        return self.shown.rpartition("/")[2]


async def receive_files(request: Request, folder: Path, limits: Limits) -> list[Upload]:
    """Stream the files of a form to a folder. Raises Refusal for what is no such form, too large or too slow."""
    receiver = _Receiver(folder, limits)
    try:
        async with asyncio.timeout(limits.seconds):
            await receiver.read(_boundary(request), _bounded(request, limits))
    except TimeoutError:
        raise Refusal(408, f"the files were not received within {limits.seconds} s") from None
    except ClientDisconnect:
        raise Refusal(400, "the client went away") from None
    except FormParserError as error:
        raise Refusal(400, f"the form is damaged ({one_line(str(error))[:200]})") from None
    finally:
        receiver.close()
    return receiver.uploads


def refuse_large_body(request: Request, limits: Limits) -> None:
    """Raise Refusal where the request says beforehand that it is too large."""
    text = request.headers.get("content-length", "0")
    if text.isdecimal() and int(text) > limits.bytes:
        raise _too_large(limits)


def _too_large(limits: Limits) -> Refusal:
    return Refusal(413, f"more than {limits.megabytes} MB; see 'tumorline app --max-megabytes'")


def _boundary(request: Request) -> bytes:
    media_type, options = parse_options_header(request.headers.get("content-type", ""))
    if media_type.decode("latin-1").lower() != FORM:
        raise Refusal(415, f"the files are sent as {FORM}, each as a field '{FILE_FIELD}'")
    if not options.get(b"boundary"):
        raise Refusal(400, "the form has no boundary")
    return options[b"boundary"]


async def _bounded(request: Request, limits: Limits) -> AsyncIterator[bytes]:
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > limits.bytes:
            raise _too_large(limits)
        yield chunk


class _Receiver:
    """One file at a time is open, and nothing of it is held in memory."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self.folder, self.limits = folder, limits
        self.names: list[str] = []
        self.paths: list[Path] = []
        self.channels: list[str] = []
        self.headers: dict[str, bytearray] = {}
        self.header, self.value = bytearray(), bytearray()
        self.file: BinaryIO | None = None
        self.field: bytearray | None = None
        self.is_whole = False

    async def read(self, boundary: bytes, chunks: AsyncIterator[bytes]) -> None:
        callbacks = {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self.header.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self.value.extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._open,
            "on_part_data": self._write,
            "on_part_end": self._end,
            "on_end": self._finish,
        }
        parser = MultipartParser(boundary, callbacks)  # type: ignore[arg-type]
        async for chunk in chunks:
            parser.write(chunk)
        parser.finalize()
        self._require_whole()

    @property
    def uploads(self) -> list[Upload]:
        channels = self.channels * len(self.paths) if len(self.channels) == 1 else self.channels
        channels = channels or [""] * len(self.paths)
        return [Upload(*parts) for parts in zip(self.names, self.paths, channels, strict=True)]

    def close(self) -> None:
        if self.file:
            self.file.close()

    def _begin(self) -> None:
        self.headers.clear()

    def _end_header(self) -> None:
        self.headers[self.header.decode("latin-1").lower()] = bytearray(self.value)
        self.header.clear()
        self.value.clear()

    def _open(self) -> None:
        disposition = bytes(self.headers.get("content-disposition", b""))
        _, options = parse_options_header(disposition)
        field = options.get(b"name", b"").decode("utf-8", "replace")
        name = options.get(b"filename", extended_name(disposition))
        if field == CHANNEL_FIELD and name is None:
            self.field = bytearray()
        elif field == FILE_FIELD and name is not None:
            self._open_file(shown_name(name))
        else:
            expected = f"expected '{FILE_FIELD}' with a file name, or '{CHANNEL_FIELD}' with a text"
            raise Refusal(422, f"the form has a field '{one_line(field)[:50]}'; {expected}")

    def _open_file(self, name: str) -> None:
        if len(self.paths) == self.limits.files:
            raise Refusal(413, f"more than {self.limits.files} files; see 'tumorline app --max-files'")
        path = self.folder / f"upload-{len(self.paths):04d}{known_suffix(name)}"
        self.file = path.open("xb")
        self.names.append(name)
        self.paths.append(path)

    def _write(self, data: bytes, start: int, end: int) -> None:
        if self.file:
            self.file.write(data[start:end])
        elif self.field is not None:
            self.field.extend(data[start:end])
            if len(self.field) > LONGEST_FIELD:
                raise Refusal(422, f"the name of a channel has more than {LONGEST_FIELD} characters")

    def _end(self) -> None:
        if self.field is not None:
            self.channels.append(one_line(self.field.decode("utf-8", "replace")))
            if len(self.channels) > self.limits.files:
                raise Refusal(413, f"more than {self.limits.files} channels")
        self.close()
        self.file = self.field = None

    def _finish(self) -> None:
        self.is_whole = True

    def _require_whole(self) -> None:
        if not self.is_whole:
            raise Refusal(400, "the form is cut off")
        if not self.paths:
            raise Refusal(422, f"no file; each is a field '{FILE_FIELD}' of the form")
        if len(self.channels) not in (0, 1, len(self.paths)):
            raise Refusal(
                422,
                f"{len(self.channels)} channels for {len(self.paths)} files; give none, one for all, or one for each",
            )


def extended_name(disposition: bytes) -> bytes | None:
    """The name of a file in the spelling of RFC 5987, which some clients send alone; None where there is none."""
    if match := EXTENDED_NAME.search(disposition):
        return unquote_to_bytes(match[2]).decode(match[1].decode(), "replace").encode()
    return None


def shown_name(given: bytes) -> str:
    """A client's name of a file, harmless to show."""
    name = one_line(given.decode("utf-8", "replace").replace("\\", "/"))
    parts = [part for part in name.split("/") if part not in ("", ".", "..")]
    return "/".join(parts)[-LONGEST_NAME:] or "unnamed"


def known_suffix(name: str) -> str:
    """The suffix by which a decoder is chosen; empty where the content alone decides."""
    lower = name.lower()
    return next((suffix for suffix in SUFFIXES if lower.endswith(suffix)), "")
