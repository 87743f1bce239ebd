"""`compare`: evaluated runs on the same cases."""

from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, get_args

from tumorline import comparison
from tumorline.errors import UserError, require_one_of
from tumorline.files import fit_file_name
from tumorline.given_paths import as_path_or_none, as_paths
from tumorline.output.folder import claim_output
from tumorline.output.journal import hash_settings, read_journal
from tumorline.results.compared import Comparison

RUNS = "runs"
"""What the folder of a comparison notes, hashed."""


def compare(
    runs: Sequence[Path | str] | Path | str = (),
    *,
    groups: Mapping[str, Sequence[Path | str]] | None = None,
    study: comparison.Study | None = None,
    reference: str = "",
    output: Path | str | None = None,
) -> dict[str, Any]:
    """Compare evaluated runs on the same cases, or recipes with several seeds each.

    Args:
        runs: Folders of `train`, `cross_validate` or `evaluate`, two or more.
        groups: In their place, names of recipes with the run folders of three seeds or more each.
        study: 'leak' compares a leaking split with an honest one.
        reference: Name of the one that the others are compared with, which leaves fewer tests to correct for.
        output: Folder for `compare.json` and `compare.html`, whose earlier content is replaced; None takes
            `comparisons/<names>`, numbered where that holds a comparison of other runs.

    Returns:
        The content of `compare.json`: `contenders` with their figures, `pairs` with `difference` (`mean`, `ci95`, `p`),
        `p_corrected` and `noise`, `ranking`, `verdicts` in sentences, `warnings`, `disagreements`.

    Raises:
        UserError: For other cases or another truth, for test patients that another run was trained on, for leaking
            splits outside of the study, and for groups that are not one recipe.

    Example:
        >>> for name, model in {"a": "runs/first", "b": "builtin"}.items():
        ...     _ = tumorline.evaluate(model, "other", output=name)
        >>> result = tumorline.compare(["a", "b"], output="comparison")
        >>> sorted(result["pairs"][0]["difference"])
        ['ci95', 'mean', 'p', 'range']
    """
    return write_comparison(runs, groups=groups, study=study, reference=reference, output=output)[1].to_json()


def write_comparison(
    runs: Sequence[Path | str] | Path | str = (),
    *,
    groups: Mapping[str, Sequence[Path | str]] | None = None,
    study: comparison.Study | None = None,
    reference: str = "",
    output: Path | str | None = None,
) -> tuple[Path, Comparison]:
    """As `compare`, with the folder of the results."""
    folders = as_paths(runs, "runs")
    if not isinstance(groups, Mapping | None):
        raise UserError(f"groups: a {type(groups).__name__}; give a dictionary of names, each with its run folders")
    if study is not None:
        require_one_of(get_args(comparison.Study), "study", study)
    recipes = {name: as_paths(recipe_runs, f"groups, {name}") for name, recipe_runs in (groups or {}).items()}
    result = comparison.compare(comparison.name_runs(folders), recipes, study, reference)
    firsts = folders or [recipe_runs[0] for recipe_runs in recipes.values()]
    compared = [*folders, *(run for recipe_runs in recipes.values() for run in recipe_runs)]
    identity = hash_settings(runs=[str(run.resolve()) for run in compared])
    folder = as_path_or_none(output, "output") or _default_folder("-".join(result.names), identity)
    claim_output(folder, "compare", comparison.NAMES, {RUNS: identity})
    comparison.save_comparison(result, firsts, folder)
    return folder, result


def _default_folder(name: str, identity: str) -> Path:
    """The first of this name, numbered from the second on, that is not known to hold a comparison of other runs."""
    stem = name.replace("/", "_")
    numbered = (stem if number == 1 else f"{stem}-{number}" for number in count(1))
    folders = (Path("comparisons") / fit_file_name(each, "") for each in numbered)
    return next(folder for folder in folders if _runs_in(folder) in ("", identity))


def _runs_in(folder: Path) -> str:
    """Of which runs a comparison was written there; empty where there is none, or an older one."""
    journal = read_journal(folder)
    return journal.identity.get(RUNS, "") if journal else ""
