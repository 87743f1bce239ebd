"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from tumorline.cli.completion import (
    complete_keys,
    complete_loggers,
    complete_models,
    complete_plans,
    complete_recipes,
    complete_searches,
)

Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="SECTION.KEY=VALUE",
        help="Override one key ('tumorline config explain' lists them); may be repeated.",
        autocompletion=complete_keys,
    ),
]
Recipe = Annotated[
    str | None,
    typer.Argument(
        metavar="RECIPE",
        help="Name ('tumorline config show' lists them) or TOML file; without it and without --data: the demo.",
        autocompletion=complete_recipes,
    ),
]
Search = Annotated[
    str,
    typer.Argument(
        metavar="SEARCH",
        help="TOML file with [tune] and [tune.space], or the name of one that comes with the package: lite0.",
        autocompletion=complete_searches,
    ),
]
Plan = Annotated[
    str,
    typer.Argument(
        metavar="PLAN",
        help="TOML file with models, losses, variants, seeds, folds, or the name of one that comes with the package.",
        autocompletion=complete_plans,
    ),
]
Source = Annotated[Path | None, typer.Option("--data", help="Folder in a supported layout, or a CSV.")]
Logged = Annotated[
    list[str] | None,
    typer.Option(
        "--log",
        metavar="tensorboard|mlflow|MODULE:NAME",
        help="Tell a logger, or a tumorline.Callback of your own, of each epoch; may be repeated.",
        autocompletion=complete_loggers,
    ),
]
MODEL_HELP = "Run folder, .safetensors file, or a listed model such as 'builtin'."
Models = Annotated[
    list[Path] | None,
    typer.Argument(
        help=MODEL_HELP + " Several make a matrix; without one it is 'builtin'.", autocompletion=complete_models
    ),
]
Tta = Annotated[
    str, typer.Option(metavar="none|flips|all", help="Average over flipped, or flipped and turned, copies (4 or 8).")
]
Precision = Annotated[
    str,
    typer.Option(
        metavar="float32|bfloat16|float16|int8|auto",
        help="In which the network computes; auto: the fastest that was verified; int8: see 'tumorline export'.",
    ),
]
RuntimeName = Annotated[
    str, typer.Option("--runtime", metavar="openvino|onnxruntime|torch", help="The library that runs the network.")
]
RayAddress = Annotated[
    str,
    typer.Option("--ray", metavar="ADDRESS", help="By a Ray cluster, whose machines have data and model as here."),
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
Output = Annotated[Path | None, typer.Option("--output", "-o", help="Folder for the results.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace earlier results; never other files.")]
Sources = Annotated[
    list[str] | None,
    typer.Option(
        "--data",
        metavar="SOURCE[,KEY=VALUE...]",
        help="Folder in a supported layout, or a CSV, with settings of its own after commas; several train together.",
    ),
]


def with_identifiers(overrides: list[str] | None, keep: bool) -> list[str]:
    """The overrides of a command, and what `--keep-identifiers` stands for among them."""
    return [*(overrides or ()), *(["data.keep_identifiers=true"] if keep else ())]
