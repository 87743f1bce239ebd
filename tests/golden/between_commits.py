"""Whether two commits write the same results, byte for byte, on this machine.

    make golden BASE=COMMIT        (compares the working tree with COMMIT)

Both are asked by the same `produce.py`, one after the other, with one thread, in float32 and without a cache. Times,
versions and paths are left out. A column or key that only the later one has is named and does not count.
"""

import csv
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
UNSTABLE = re.compile(
    r"seconds|images_per_second|images a second|peak_memory|versions|machine|time\b|date"
    r"|\d{4}-\d\d-\d\d|\d+(?:\.\d+)? (?:s|images/s|min|minutes|MB)\b"
)
HASH = re.compile(r'"sha256": "[0-9a-f]{64}"')
"""Of a file that is compared itself."""
SKIPPED = {"environment.json", "log.txt", "state.safetensors"}
"""Times and versions; the state also holds the seconds of each epoch, and is covered by the weights that come of it."""

SHOWN = 3


def main(base: str) -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        before = checked_out(base, folder / "base")
        results = [produce(source, folder / f"results-{side}") for source, side in ((before, "base"), (ROOT, "head"))]
        subprocess.run(["git", "worktree", "remove", "--force", str(before)], cwd=ROOT, check=True)
        found = list(compare_folders(*results))
    changed = [line for line in found if not line.startswith("added")]
    print("\n".join(found) or "equal")
    print(f"{len(changed)} differences from {base}")
    return 1 if changed else 0


def checked_out(commit: str, folder: Path) -> Path:
    subprocess.run(
        ["git", "worktree", "add", "--detach", str(folder), commit], cwd=ROOT, check=True, capture_output=True
    )
    return folder


def produce(source: Path, results: Path) -> Path:
    """Run `produce.py` with the package of a source tree; both sides work under one path, which results may quote."""
    place = results.with_name("work")
    environment = {"PYTHONPATH": str(source / "src"), "PATH": str(Path(sys.executable).parent), "HOME": str(place)}
    script = ROOT / "tests" / "golden" / "produce.py"
    subprocess.run([sys.executable, str(script), str(place)], env=environment, check=True)
    shutil.rmtree(place / "cache", ignore_errors=True)
    return place.rename(results)


def compare_folders(before: Path, after: Path) -> Iterator[str]:
    """At most `SHOWN` lines for each file that differs."""
    names = [{path.relative_to(side) for path in side.rglob("*") if path.is_file()} for side in (before, after)]
    yield from (f"gone: {name}" for name in sorted(names[0] - names[1]))
    yield from (f"added: {name}" for name in sorted(names[1] - names[0]))
    for name in sorted(names[0] & names[1]):
        if name.name not in SKIPPED:
            yield from islice(compare_files(before / name, after / name, str(name)), SHOWN)


def compare_files(before: Path, after: Path, name: str) -> Iterator[str]:
    contents = [path.read_bytes() for path in (before, after)]
    if contents[0] == contents[1]:
        return
    if before.suffix == ".csv":
        yield from compare_tables(before, after, name)
    elif before.suffix in (".json", ".out", ".html", ".toml", ".md", ".jsonl"):
        yield from compare_texts(contents[0].decode().splitlines(), contents[1].decode().splitlines(), name)
    elif before.suffix == ".safetensors":
        yield from compare_weights(contents[0], contents[1], name)
    elif before.suffix != ".onnx":  # its weights are those of the model file beside it, its metadata too
        yield f"differs: {name}"


def compare_tables(before: Path, after: Path, name: str) -> Iterator[str]:
    tables = [list(csv.DictReader(path.open(newline=""))) for path in (before, after)]
    columns = [list(table[0]) if table else [] for table in tables]
    yield from (f"added: {name}, column {column}" for column in columns[1] if column not in columns[0])
    kept = [column for column in columns[0] if not UNSTABLE.search(column)]
    for column in kept:
        if [row.get(column) for row in tables[0]] != [row.get(column) for row in tables[1]]:
            yield f"differs: {name}, column {column}"


def compare_texts(before: list[str], after: list[str], name: str) -> Iterator[str]:
    """Lines with what is not stable left out; of JSON the keys that were added are named."""
    if name.endswith(".json"):
        yield from compare_values(json.loads("\n".join(before)), json.loads("\n".join(after)), name)
        return
    if name.endswith(".out") and (printed := [printed_json(lines) for lines in (before, after)])[0] is not None:
        yield from compare_values(printed[0], printed[1], name)
        return
    kept = [[HASH.sub("", line) for line in lines if not UNSTABLE.search(line)] for lines in (before, after)]
    if kept[0] != kept[1]:
        differing = next((pair for pair in zip(*kept, strict=False) if pair[0] != pair[1]), ("", "more or fewer lines"))
        yield f"differs: {name}: {differing[0][:160]!r} became {differing[1][:160]!r}"


def printed_json(lines: list[str]) -> Any:
    """What a command printed as JSON, with its exit status and what it said besides; None where it printed none."""
    content, position = "\n".join(lines[1:]), 0
    try:
        value, position = json.JSONDecoder().raw_decode(content)
    except ValueError:
        return None
    said = [line for line in content[position:].splitlines() if not UNSTABLE.search(line)]
    return {"exit status": lines[0], "printed": value, "said": said}


def compare_weights(before: bytes, after: bytes, name: str) -> Iterator[str]:
    """Header and tensors of two safetensors files: eight bytes of length, JSON, data."""
    (header, data), (later_header, later_data) = unpacked(before), unpacked(after)
    if data != later_data:
        yield f"differs: {name}, weights"
    yield from compare_values(header, later_header, name)


def unpacked(content: bytes) -> tuple[dict[str, Any], bytes]:
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    metadata = header.pop("__metadata__", {})
    return {"tensors": header, **{key: parsed(text) for key, text in metadata.items()}}, content[end:]


def parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def compare_values(before: Any, after: Any, name: str) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        yield from (f"added: {name}: {key}" for key in after.keys() - before.keys())
        for key in before:
            if key not in after:
                yield f"gone: {name}: {key}"
            elif not UNSTABLE.search(key):
                yield from compare_values(before[key], after[key], f"{name}: {key}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, pair in enumerate(zip(before, after, strict=True)):
            yield from compare_values(*pair, f"{name}: {number}")
    elif before != after:
        yield f"differs: {name}: {str(before)[:80]} became {str(after)[:80]}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
