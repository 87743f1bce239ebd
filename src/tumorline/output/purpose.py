"""What a folder of results is for, and whether an earlier one was for the same."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tumorline.environment import versions
from tumorline.files import JsonObject
from tumorline.output.journal import Journal, hash_settings

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Purpose:
    """What a folder is for. It is gone on with where command and identity are the same."""

    command: str
    identity: Mapping[str, str]
    """Hashes by what they are of: 'inputs', 'model', 'settings'."""
    base: str = ""
    name: str = ""
    """A fresh folder is `<base>/<time>-<name>`."""
    contents: Mapping[str, str] = field(default_factory=dict)
    """By case, the hash of what its result is made from: it may have changed where there is no result yet."""

    def difference(self, journal: Journal) -> str:
        """In what an earlier folder had another purpose, in words; empty where it is the same one."""
        ours = self.header()["identity"]
        changed = {key for key in ours if ours[key] != journal.identity.get(key)}
        if any(journal.contents.get(case, content) != content for case, content in self.contents.items()):
            changed.add("inputs")
        if journal.command != self.command:
            return f"'{journal.command}'"
        differing = " and ".join(key for key in ours if key in changed)
        return f"'{self.command}' with other {differing}" if changed else ""

    def header(self) -> JsonObject:
        identity = {**self.identity, "versions": hash_settings(**versions())}
        return {"schema_version": SCHEMA_VERSION, "command": self.command, "identity": identity}
