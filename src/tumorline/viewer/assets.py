"""The viewer's files as they stand in a page of their own: scripts, styles, and the policy that allows nothing else."""

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
IMPORTS = re.compile(r"^import\s.*?;\n", re.MULTILINE | re.DOTALL)
EXPORTS = re.compile(r"^export (?=(?:async )?(?:class|function|const)\b)", re.MULTILINE)


def asset(name: str) -> str:
    """The text of one of the viewer's files."""
    return (FOLDER / name).read_text(encoding="utf-8")


def inline_module(*names: str) -> str:
    """Modules that import from one another as the text of one script, those that are imported first."""
    return "\n".join(EXPORTS.sub("", IMPORTS.sub("", asset(name))) for name in names)


def inline_style(*names: str) -> str:
    return "\n".join(map(asset, names))


def content_policy(scripts: Sequence[str]) -> str:
    """A Content-Security-Policy for a page: these scripts run, what they load, and nothing else of anywhere."""
    hashes = " ".join(f"'sha256-{_digest(text)}'" for text in scripts) or "'none'"
    trusted = f"{hashes} 'strict-dynamic'" if scripts else hashes
    rules = ("default-src 'none'", f"script-src {trusted}", "style-src 'unsafe-inline'", "img-src data: blob:")
    return "; ".join((*rules, "base-uri 'none'", "form-action 'none'"))


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def script_data(content: Any) -> str:
    """JSON that may stand in a script of a page: nothing in it ends the script or a line of it."""
    text = json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
