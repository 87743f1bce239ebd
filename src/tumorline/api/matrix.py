"""`cross_evaluate`: models by sets."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Unpack

from tumorline import cross_dataset
from tumorline.api.evaluating import EvaluationOptions, ScoringKeywords
from tumorline.api.keywords import spelled_out
from tumorline.assessment import (
    evaluate_and_report,
    evaluation_data,
    load_named,
    open_evaluation,
    open_usable,
)
from tumorline.data.dataset import Dataset
from tumorline.errors import UserError
from tumorline.evaluation.provenance import hash_dataset
from tumorline.evaluation.status import Request
from tumorline.given_paths import as_paths, as_sources, as_texts
from tumorline.output.folder import Memory
from tumorline.output.journal import hash_settings
from tumorline.output.purpose import Purpose
from tumorline.results import Summary
from tumorline.results.compared import Matrix
from tumorline.source_spec import read_spec


@spelled_out(ScoringKeywords, EvaluationOptions)
def cross_evaluate(
    models: Sequence[Path | str] | Path | str, data: Sequence[str] | str, **options: Unpack[ScoringKeywords]
) -> dict[str, Any]:
    """Score models by sets as one matrix, in-domain against external.

    Args:
        models: Models as in `evaluate`.
        data: Sources, each with settings of its own after commas: 'lgg/kaggle_3m,channel=post_contrast,name=LGG'.
        output: Folder for an evaluation of each cell, `matrix.json`, `matrix.csv` and `matrix.html`; None makes
            `evaluations/<time>-matrix`.
        overwrite: As in `evaluate`.
        overrides: As in `evaluate`, for all sources.
        allow_training_cases: As in `evaluate`.
        tta: As in `evaluate`.
        processes: As in `evaluate`.
        progress: As in `evaluate`.
        precision: As in `evaluate`.
        runtime: As in `evaluate`.
        ray: As in `evaluate`.

    Returns:
        The content of `matrix.json`: `cells` with `model`, `set`, `domain`, `region` and `figures` as those of
        `evaluate` (or `error`), `sentences` on what is left elsewhere, `models` and `sets`.

    Raises:
        UserError: Before anything is scored, for a source or model that cannot be opened.

    Example:
        >>> matrix = tumorline.cross_evaluate(["runs/first"], ["other", "scans,name=own"], output="evaluations/matrix")
        >>> [(cell["set"], cell["domain"]) for cell in matrix["cells"]]
        [('other', 'external'), ('own', 'in-domain')]
    """
    return write_matrix(models, data, EvaluationOptions(**options))[1].to_json()


def write_matrix(
    models: Sequence[Path | str] | Path | str, data: Sequence[str] | str, how: EvaluationOptions
) -> tuple[Path, Matrix]:
    """As `cross_evaluate`, with the folder of the results."""
    chosen, sources = as_paths(models, "models"), as_sources(data, "data")
    if not chosen or not sources:
        raise UserError("a matrix: give a model and a source, or several")
    specs = cross_dataset.checked([read_spec(text) for text in sources])
    overrides = as_texts(how.overrides, "overrides")
    loaded = load_named(chosen, how.load)
    opened = functools.cache(functools.partial(open_usable, progress=how.decoding_progress))
    sets = {
        (name, spec.name): opened(*evaluation_data(model, spec.path, [*overrides, *spec.settings]))
        for name, model in loaded.items()
        for spec in specs
    }

    identity = {
        "inputs": hash_settings(sets=[(*names, hash_dataset(dataset)) for names, dataset in sets.items()]),
        "models": hash_settings(models=[(name, model.fingerprint) for name, model in loaded.items()]),
        "settings": hash_settings(**how.settings),
    }
    purpose = Purpose("evaluate several", identity, "evaluations", "matrix")
    with how.cluster() as cluster, open_evaluation(how.output, purpose, how.overwrite, sets.values()) as folder:

        def evaluate_cell(model: str, dataset: Dataset, cell: Path) -> Summary:
            request = Request.of(dataset, Memory(folder, cell.name), how.allow_training_cases, how.processes, cluster)
            return evaluate_and_report(loaded[model], request, how.progress)

        infos = {name: model.info for name, model in loaded.items()}
        return folder.path, cross_dataset.measure_matrix(infos, sets, folder.path, evaluate_cell)
