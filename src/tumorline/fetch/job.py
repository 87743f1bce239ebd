"""The way of one set from its files in the network to a folder.

Everything happens in `DIR.part` beside the folder: what has arrived stays there until the folder is whole and is gone
on with when the command is run again. One rename makes it `DIR`.
"""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TypedDict

from tumorline.errors import UserError
from tumorline.fetch.archive import ArchiveError, Member, check_tree, extract, read_members
from tumorline.fetch.catalogue import DataSet
from tumorline.fetch.download import RemoteFile, download
from tumorline.fetch.web import Web
from tumorline.file_names import FETCHED_NAME
from tumorline.files import (
    alone_in,
    is_leftover,
    remove_unfinished,
    require_space,
    write_json,
    write_text,
    writing,
)
from tumorline.progress import Notify, Progress
from tumorline.wording import numbered

SCHEMA_VERSION = 1
LICENCE_FILE = "LICENSE-DATA.txt"


class FetchRecord(TypedDict):
    """What a folder says of the set that was fetched into it."""

    schema_version: int
    name: str
    licence: str
    attribution: str
    page: str
    files: int
    bytes: int
    remarks: list[str]


class FetchResult(FetchRecord):
    """What `fetch` says."""

    folder: str
    status: str
    """'fetched', or 'present' where it was there already."""


def recorded(name: str, folder: Path) -> FetchRecord | None:
    """What a finished fetch left in the folder, None for a folder that can be made. Raises UserError for one in use."""
    if not folder.exists():
        return None
    empty = folder.is_dir() and not any(folder.iterdir())
    if not folder.is_dir() or (empty and os.path.ismount(folder)):
        raise UserError(f"{folder}: a file or the root of a disk; give a folder that does not exist yet")
    if empty:
        return None
    try:
        content = json.loads((folder / FETCHED_NAME).read_text(encoding="utf-8"))
        recorded_name, sizes = content["name"], content.pop("sizes")
        lost = [path for path, size in sizes.items() if not _has_size(folder / path, size)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{folder}: holds something else already; give a folder that does not exist yet") from None
    if recorded_name != name:
        raise UserError(f"{folder}: holds the set '{recorded_name}' already; give another folder for '{name}'")
    if lost:
        lack = f"{len(lost)} of {len(sizes)} files are missing or changed, such as {lost[0]}"
        raise UserError(f"{folder}: {lack}; remove the folder and fetch it again")
    record: FetchRecord = content
    return record


def _has_size(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


class FetchJob:
    """One set on its way into `DIR`, in `DIR.part`: fetch.json (whose it is), files/ (downloads), unpacked/."""

    def __init__(self, name: str, dataset: DataSet, folder: Path, notify: Notify, progress: Progress) -> None:
        self.name, self.dataset, self.folder = name, dataset, folder
        self.notify, self.progress = notify, progress
        self.work = folder.parent / f"{folder.name}.part"
        self.files, self.unpacked = self.work / "files", self.work / "unpacked"

    def run(self, web: Web) -> FetchRecord:
        """From nothing, or from what an earlier run left, to the whole folder. Raises UserError beside another one."""
        with alone_in(self.work):
            record = self.prepare(web)
            self.publish()
        return record

    def prepare(self, web: Web) -> FetchRecord:
        """Bring and unpack all of it."""
        self.claim()
        try:
            self.announce()
            remotes = self.dataset.files(web)
            self.download(web, remotes)
            return self.unpack([self.files / remote.name for remote in remotes])
        except ArchiveError as error:
            error.archive.unlink(missing_ok=True)
            shutil.rmtree(self.unpacked, ignore_errors=True)
            raise UserError(f"{error}; the archive was removed, run the command again to download it anew") from None
        except UserError as error:
            if any(self.files.iterdir()):
                raise UserError(f"{error} (what has arrived is kept in {self.work})") from None
            shutil.rmtree(self.work)
            raise

    def claim(self) -> None:
        """Make the work folder or take over that of an earlier run. Raises UserError where it is another set's."""
        entries = [entry for entry in self.work.iterdir() if not is_leftover(entry)]
        if entries and self.owner() != self.name:
            content = f"a begun download of '{self.owner()}'" if self.owner() else "something else"
            raise UserError(f"{self.work}: holds {content}; remove it, or give another folder for '{self.name}'")
        write_json(self.work / "fetch.json", {"name": self.name})
        shutil.rmtree(self.unpacked, ignore_errors=True)
        remove_unfinished(self.work)
        self.files.mkdir(exist_ok=True)

    def owner(self) -> str:
        """Name of the set that the work folder belongs to; empty where it is none of ours."""
        try:
            return str(json.loads((self.work / "fetch.json").read_text(encoding="utf-8"))["name"])
        except (OSError, ValueError, KeyError, TypeError):
            return ""

    def tidy(self) -> None:
        """Remove what a run that was killed after its rename left behind."""
        if self.owner() == self.name:
            shutil.rmtree(self.work)

    def announce(self) -> None:
        """Terms before bytes: shown, and written beside them."""
        for line in self.terms().splitlines():
            self.notify(line)
        write_text(self.work / LICENCE_FILE, self.terms())

    def terms(self) -> str:
        dataset = self.dataset
        return (
            f"{dataset.title}\nLicence: {dataset.licence}\nAttribution: {dataset.attribution}\n"
            f"Source: {dataset.page}\nThe terms are those of the source; cite it wherever you use the data.\n"
        )

    def download(self, web: Web, remotes: Sequence[RemoteFile]) -> None:
        """Bring all files; a disk that cannot hold them, and the same again unpacked, stops it at the beginning."""
        missing = [remote.size or 0 for remote in remotes if not (self.files / remote.name).is_file()]
        require_space(self.work, sum(missing) + sum(remote.size or 0 for remote in remotes), "to download and unpack")
        for number, remote in enumerate(remotes, start=1):
            size = f", {remote.size / 1e6:.1f} MB" if remote.size else ""
            self.notify(f"file {number} of {len(remotes)}: {remote.name}{size}")
            download(web, remote, self.files, self.progress)

    def unpack(self, files: Sequence[Path]) -> FetchRecord:
        """Fill unpacked/ with the set, its terms and its record."""
        loose = [file for file in files if file.suffix.lower() != ".zip"]
        plan, remarks = self.plan([file for file in files if file not in loose], [file.name for file in loose])
        self.notify(f"unpacking {numbered(len(plan), 'file')}")
        with writing(self.unpacked):
            extract(plan, self.unpacked)
            for file in loose:
                shutil.copyfile(file, self.unpacked / file.name)
        for remark in remarks:
            self.notify(remark)
        sizes = {name: member.info.file_size for name, member in plan.items()}
        sizes |= {file.name: file.stat().st_size for file in loose}
        record = self.record(sizes, remarks)
        write_text(self.unpacked / LICENCE_FILE, self.terms())
        write_json(self.unpacked / FETCHED_NAME, {**record, "sizes": sizes})
        return record

    def plan(self, archives: Sequence[Path], loose: Sequence[str]) -> tuple[dict[str, Member], list[str]]:
        """Path in the folder -> member of an archive, over all archives, and remarks. Nothing is written."""
        places: list[tuple[str, Member]] = []
        remarks = []
        for archive, group in groupby(read_members(archives), key=lambda member: member.archive):
            members = {member.name: member for member in group}
            arranged = self.dataset.arrange({name: member.fingerprint for name, member in members.items()})
            if not arranged.places:
                roots = ", ".join(sorted({ascii(name.split("/")[0]) for name in members})[:5])
                raise ArchiveError(archive, f"holds nothing where the set's files are expected; found {roots}")
            places += [(path, members[name]) for name, path in arranged.places.items()]
            remarks += [f"{archive.name}: {remark}" for remark in arranged.remarks]
            check_tree(archive, [LICENCE_FILE, FETCHED_NAME, *loose, *(path for path, _ in places)])
        return dict(places), remarks

    def record(self, sizes: Mapping[str, int], remarks: Sequence[str]) -> FetchRecord:
        return {
            "schema_version": SCHEMA_VERSION,
            "name": self.name,
            "licence": self.dataset.licence,
            "attribution": self.dataset.attribution,
            "page": self.dataset.page,
            "files": len(sizes),
            "bytes": sum(sizes.values()),
            "remarks": list(remarks),
        }

    def publish(self) -> None:
        """One rename makes the folder; the downloads go after it."""
        if hasattr(os, "sync"):
            os.sync()
        if self.folder.is_dir():
            self.folder.rmdir()
        self.unpacked.rename(self.folder)
        shutil.rmtree(self.work)
