"""Cases as HTML that shows itself: in a notebook as a frame of its own, or as a file."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from tumorline.files import write_text
from tumorline.viewer.assets import asset, content_policy, inline_module, script_data
from tumorline.viewer.encoding import EncodedCase

STYLE = """
:root { color-scheme: light dark; --ink: #1b2430; --soft: #5d6b7c; --line: #dde3ea; --card: #fff; --a: #0b6fb4; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e7ecf2; --soft: #96a3b3; --line: #2d3643; --card: #1a2029; --a: #5fb3f0; }
}
body { margin: 8px; background: var(--card); }
"""


@dataclass(frozen=True)
class View:
    """Cases that a notebook shows where they are the last value of a cell; see `tumorline.view`."""

    cases: Sequence[EncodedCase]
    height: int = 680
    """Of the frame, in pixels."""

    @property
    def html(self) -> str:
        """A page that needs nothing else."""
        script = inline_module("viewer.js", "notebook.js")
        head = (
            '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
            f'<meta http-equiv="Content-Security-Policy" content="{content_policy([script])}">'
            f"<title>Tumorline</title><style>{STYLE}{asset('viewer.css')}</style>"
        )
        data = f'<script type="application/json" id="cases">{script_data(list(self.cases))}</script>'
        body = f'<div id="viewer"></div>{data}<script type="module">{script}</script>'
        return f'<!doctype html><html lang="en"><head>{head}</head><body>{body}</body></html>'

    def _repr_html_(self) -> str:
        """A frame that can run its own script and nothing of the notebook's."""
        return (
            f'<iframe srcdoc="{escape(self.html)}" sandbox="allow-scripts allow-downloads" '
            f'title="Tumorline case viewer" loading="lazy" '
            f'style="width: 100%; height: {self.height}px; border: 0"></iframe>'
        )

    def save(self, path: Path | str) -> Path:
        """Write the page to a file and return its path."""
        write_text(Path(path), self.html)
        return Path(path)
