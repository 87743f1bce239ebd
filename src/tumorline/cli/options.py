"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override one key; may be repeated."),
]
MODEL_HELP = "Run folder, .safetensors file, or a listed model such as 'builtin'."
Tta = Annotated[
    str, typer.Option(metavar="none|flips|all", help="Average over flipped, or flipped and turned, copies (4 or 8).")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
Trusted = Annotated[
    list[str] | None,
    typer.Option("--trust-module", metavar="MODULE", help="Run this module's code where a model or run names it."),
]
TrustPaths = Annotated[
    bool, typer.Option("--trust-paths", help="Open what a run that another user or machine began names as its data.")
]
KeepIdentifiers = Annotated[
    bool,
    typer.Option("--keep-identifiers", help="Show the patients' ids of DICOM headers instead of their hashes."),
]
Output = Annotated[Path | None, typer.Option("--output", help="Folder for the results.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace earlier results; never other files.")]


def with_identifiers(overrides: list[str] | None, keep: bool) -> list[str]:
    """The overrides of a command, and what `--keep-identifiers` stands for among them."""
    return [*(overrides or ()), *(["data.keep_identifiers=true"] if keep else ())]
