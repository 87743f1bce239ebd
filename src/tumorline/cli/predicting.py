"""The command that runs a model on new images: predict."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from tumorline.cli.arguments import require_computing, require_models, require_paths
from tumorline.cli.completion import complete_models
from tumorline.cli.options import (
    MODEL_HELP,
    AsJson,
    KeepIdentifiers,
    Overwrite,
    Precision,
    RayAddress,
    RuntimeName,
    Tta,
)
from tumorline.cli.printing import counter, note, print_json, say
from tumorline.file_names import PREDICTED_TABLE_NAME


def predict(
    inputs: Annotated[
        list[Path] | None, typer.Argument(help="Pictures, NIfTI volumes, DICOM series, folders of them, or a CSV.")
    ] = None,
    model: Annotated[Path, typer.Option("--model", "-m", help=MODEL_HELP, autocompletion=complete_models)] = Path(
        "builtin"
    ),
    channel: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FILE",
            help="One channel of one case, a volume or a DICOM series (FOLDER or FOLDER#NUMBER); once for each.",
        ),
    ] = None,
    enhancing_label: Annotated[
        int | None, typer.Option(help="Write BraTS's enhancing tumour as 3 (since 2023) instead of 4.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for masks, overlays and tables.")
    ] = None,
    overwrite: Overwrite = False,
    tta: Tta = "none",
    no_overlay: Annotated[bool, typer.Option("--no-overlay", help="Write masks only, no picture to look at.")] = False,
    precision: Precision = "auto",
    runtime: RuntimeName = "openvino",
    ray: RayAddress = "",
    keep_identifiers: KeepIdentifiers = False,
    as_json: AsJson = False,
) -> None:
    """Write mask, overlay and figures for each picture or volume.

    A model of several channels takes folders whose volumes are named as in BraTS, a CSV with a column of files for each
    channel, or --channel for each. Of DICOM series it says how each was understood and writes a DICOM segmentation as
    well; folders of one study are one case. Results go to predictions/<time>. The same command goes on where it was
    stopped.
    """
    require_paths(*(inputs or ()))
    require_models([model])
    require_computing(precision, runtime)
    from tumorline import api

    how = api.PredictionOptions(
        output=output,
        overwrite=overwrite,
        tta=tta,
        channels=channel or (),
        enhancing_label=enhancing_label,
        keep_identifiers=keep_identifiers,
        overlay=not no_overlay,
        precision=precision,
        runtime=runtime,
        ray=ray,
        progress=counter("predicting"),
        notify=note,
    )
    folder, rows = api.write_predictions(inputs or (), model, how)
    failed = [row for row in rows if row["error"]]
    for row in failed:
        note(f"error: {row['error']}")
    if as_json:
        print_json(rows)
        note(f"predictions: {folder / PREDICTED_TABLE_NAME}")
    else:
        kept = " (earlier results, which stay as they are)" if overwrite and len(failed) == len(rows) else ""
        say(f"{len(rows) - len(failed)} of {len(rows)} predicted: {folder / PREDICTED_TABLE_NAME}{kept}")
    sys.exit(2 if failed else 0)
