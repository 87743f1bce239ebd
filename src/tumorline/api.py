"""The public functions: what the command line calls and a script may call as well."""

import functools
import inspect
import shlex
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tumorline import comparison, cross_dataset
from tumorline.assessment import (
    add_stress,
    evaluate_and_report,
    evaluation_data,
    hash_dataset,
    images_to_show,
    known_reader,
    load_named,
    open_evaluation,
    open_usable,
    open_wanted,
)
from tumorline.audit import between
from tumorline.audit import check as checks
from tumorline.callbacks import Callback, check_callbacks
from tumorline.compared_results import Comparison, Leaderboard, Matrix
from tumorline.config import Config, DataConfig, load_config, parse_config
from tumorline.data.dataset import Dataset, load_dataset
from tumorline.data.joined import load_data
from tumorline.data.source import Finding
from tumorline.data.split import Split, split_dataset
from tumorline.errors import UserError, require_extra
from tumorline.evaluation.status import request
from tumorline.evaluation.subsets import add_subsets, require_lacking
from tumorline.files import fit_file_name, write_text
from tumorline.formats.decode import PICTURE_SUFFIXES
from tumorline.inference import predict as prediction
from tumorline.inference.jobs import job_of_channels, list_jobs
from tumorline.inference.label_map import region_labels
from tumorline.inference.model import AUTO, Model, count_workers, load
from tumorline.inference.one import predict_given
from tumorline.inference.predictor import Predictor
from tumorline.journal import hash_inputs, hash_settings
from tumorline.model_file import BUILTIN, find_model, model_name
from tumorline.output_folder import (
    Memory,
    Purpose,
    check_place,
    claim_output,
    open_output,
    refuse_in_data,
    refuse_inputs_in,
    refuse_taken_file,
)
from tumorline.progress import Notify, Progress, silent
from tumorline.recipe_files import Data, find_recipe, read_recipe
from tumorline.report import write_report
from tumorline.report.data_page import Described, write_data_page
from tumorline.report.observation import Observer
from tumorline.results import Summary
from tumorline.run_folder import new_run_folder, read_local_config
from tumorline.runtime import DEFAULT
from tumorline.source_spec import read_spec, with_data
from tumorline.trust import local_only, modules_in, trusting, trusting_paths
from tumorline.work_ahead import count_cores

if TYPE_CHECKING:
    from tumorline.planning import Plan

IDENTIFIED = (
    "DICOM segmentations keep the headers of patient and study that the standard requires (PatientName, PatientID, "
    "PatientBirthDate, AccessionNumber, StudyDate and others): they identify the patient as their series do"
)


def train(
    config: Config | Path | str | None = None,
    *,
    data: Data = None,
    overrides: Iterable[str] = (),
    output: Path | str | None = None,
    test: bool = True,
    notify: Notify = silent,
    callbacks: Sequence[Callback] = (),
) -> Path:
    """Train, evaluate on held-out patients and report.

    Without a configuration and without data this is the demo: a small U-Net on the simulated cohort.

    Args:
        config: A TOML file, the name of a recipe that comes with the package, or a `Config`; None takes all defaults.
        data: A source in any supported layout, or several, which train together; each may have settings of its own
            after commas (keys of `[[data.sources]]`), as in 'scans,name=ours'. None takes the one of the configuration.
        overrides: 'section.key=value' texts, as `--set` of the command line.
        output: Folder of the run, which must not exist; None makes `runs/<time>-<name>`.
        test: Whether to evaluate. Without it the training stops once the best weights are chosen on validation, and
            `resume` evaluates and reports.
        notify: Called with each line of progress.
        callbacks: Told of begin, epochs and end of the training (`tumorline.Callback`); they change nothing.

    Returns:
        The run folder: `model.safetensors`, `model.onnx`, `summary.json`, `evaluation.csv`, `report.html` and more.

    Raises:
        UserError: For data or a configuration that cannot be used; nothing is then left behind.

    Example:
        >>> small = ["data.image_size=32", "model.options.widths=[4,8]", "train.epochs=1", "train.batch_size=4"]
        >>> run = tumorline.train(data="scans", overrides=small, output="runs/new")
        >>> (run / "report.html").is_file()
        True
    """
    from tumorline import run

    if not isinstance(config, Config):
        config = read_recipe(config, data, overrides)
    folder = _checked(Path(output) if output else new_run_folder(config.name), config.data)
    check_callbacks(callbacks)
    with trusting(modules_in([config.model.name, *config.train.callbacks])):
        if test:
            run.train(config, folder, notify, callbacks)
        else:
            run.fit_only(config, folder, notify, callbacks=callbacks)
    return folder


def find_learning_rate(
    config: Config | Path | str | None = None,
    *,
    data: Data = None,
    overrides: Iterable[str] = (),
    output: Path | str | None = None,
    notify: Notify = silent,
) -> tuple[Path, float | None]:
    """Try rising learning rates in one short training, on the training cases alone; no weights are kept.

    Args:
        config: As in `train`.
        data: As in `train`.
        overrides: As in `train`.
        output: Folder for `learning_rate.csv` and `learning_rate.html`, which must not exist; None makes one in
            `runs/`.
        notify: Called with each line of progress.

    Returns:
        The folder, and the rate to train with; the rate is None where none lowers the loss.

    Raises:
        UserError: For data or a configuration that cannot be used, and for a folder that exists.

    Example:
        >>> small = ["data.image_size=32", "model.options.widths=[4,8]", "train.batch_size=4"]
        >>> folder, rate = tumorline.find_learning_rate(data="scans", overrides=small, output="rates")
        >>> (folder / "learning_rate.html").is_file()
        True
    """
    from tumorline import run

    if not isinstance(config, Config):
        config = read_recipe(config, data, overrides)
    folder = _checked(Path(output) if output else new_run_folder(f"{config.name}-find-lr"), config.data)
    with trusting(modules_in(config.model.name)):
        return folder, run.find_learning_rate(config, folder, notify)


def cross_validate(
    config: Config | Path | str | None = None,
    *,
    data: Data = None,
    overrides: Iterable[str] = (),
    output: Path | str | None = None,
    only: Collection[int] = (),
    notify: Notify = silent,
) -> Path:
    """Cross-validate: train the folds that are not finished and put their test cases together, out of fold.

    The same call goes on where it was stopped.

    Args:
        config: As in `train`; `split.folds` has to be 2 or more.
        data: As in `train`.
        overrides: As in `train`.
        output: Folder of the folds; None takes `runs/<name>-<folds>folds`.
        only: Numbers of the folds to train, counted from 0; empty means all.
        notify: Called with each line of progress.

    Returns:
        The folder: a run folder `fold-K` for each fold, and `summary.json`, `evaluation.csv`, `report.html` over those
        that are finished.

    Raises:
        UserError: For data or a configuration that cannot be used, for folds of another configuration in the folder,
            and at the end where folds diverged.

    Example:
        >>> small = ["data.image_size=32", "model.options.widths=[4,8]", "train.epochs=1", "split.folds=2"]
        >>> folder = tumorline.cross_validate(data="scans", overrides=small, output="runs/folds")
        >>> sorted(path.name for path in folder.glob("fold-*"))
        ['fold-0', 'fold-1']
    """
    from tumorline import cross_validation

    if not isinstance(config, Config):
        config = read_recipe(config, data, overrides)
    folder = Path(output) if output else Path("runs") / f"{config.name}-{config.split.folds}folds"
    _checked(folder, config.data)
    with trusting(modules_in([config.model.name, *config.train.callbacks])):
        cross_validation.cross_validate(config, folder, only, notify)
    return folder


def benchmark(
    plan: Path | str,
    *,
    data: Path | str | None = None,
    output: Path | str | None = None,
    only: Sequence[str] = (),
    processes: int = 1,
    ray: str = "",
    notify: Notify = silent,
) -> dict[str, Any]:
    """Train models x losses x variants x seeds x folds under one budget, and rank them.

    The same call goes on where it was stopped: a finished cell is never run again.

    Args:
        plan: TOML file with `[recipe]`, `seeds` and the tables of what is compared; see `benchmarks/plans/`.
        data: A source in any supported layout; None takes the one of the plan.
        output: Folder for `cells/` and `leaderboard.json`, `.html` and `.md`; None takes `runs/<name>`.
        only: Names of the arms to train; empty means all.
        processes: Cells at a time, on this machine or, with `ray`, on each machine of the cluster.
        ray: Address of a Ray cluster whose machines share the folder.
        notify: Called with each line of progress.

    Returns:
        The content of `leaderboard.json`: `groups` of one initialisation each, with `rows` from the best down and
        `pairs` of differences; `unmeasured` with the reason and the command of each arm that is not finished.

    Raises:
        UserError: For a plan whose arms have not one budget, and for data or a configuration that cannot be used.

    Example:
        >>> _ = Path("plan.toml").write_text(PLAN)
        >>> board = tumorline.benchmark("plan.toml", data="scans", output="runs/board")
        >>> [row["name"] for row in board["groups"][0]["rows"]] != []
        True
    """
    return run_benchmark(
        plan, data=data, output=output, only=only, processes=processes, ray=ray, notify=notify
    ).to_json()


def run_benchmark(
    plan: Path | str,
    *,
    data: Path | str | None = None,
    output: Path | str | None = None,
    only: Sequence[str] = (),
    processes: int = 1,
    ray: str = "",
    notify: Notify = silent,
) -> Leaderboard:
    """As `benchmark`, with the result as it is typed."""
    if sys.platform == "win32":
        raise UserError("benchmark needs file locks that a process inherits, which Windows lacks; run it under WSL")
    from tumorline.benchmarking import NAMES, Benchmark, local, on_ray, read_plan

    require_extra("torch", "benchmark", "train")
    file = find_recipe(plan, "benchmark")
    read = read_plan(file, Path(data) if data else None)
    folder = _checked(benchmark_folder(read.name, output), parse_config(read.recipe, str(file)).data).resolve()
    claim_output(folder, "benchmark", NAMES)
    executor = on_ray(ray, processes) if ray else local(processes)
    options = [*(["--data", "SOURCE"] if data else []), *(["--output", str(output)] if output else [])]
    command = shlex.join(["tumorline", "benchmark", str(plan), *options])
    return Benchmark(read, folder, notify, command, processes).run(executor, only)


def benchmark_folder(name: str, output: Path | str | None = None) -> Path:
    """Where a benchmark of this name is kept."""
    return Path(output) if output else Path("runs") / name


def plan(
    source: Path | str,
    *,
    minutes: float = 60.0,
    memory_gb: float | None = None,
    gflops: float | None = None,
    axes: int | None = None,
    overrides: Iterable[str] = (),
    notify: Notify = silent,
) -> Config:
    """Plan a training for a source and this machine.

    Args:
        source: A source in any supported layout.
        minutes: Of training.
        memory_gb: Memory in GB; None takes that of this machine.
        gflops: Speed of training in GFLOP/s; None assumes what was measured for a core, or for a GPU.
        axes: 2 for slices, 3 for patches of volumes; None chooses.
        overrides: 'section.key=value' texts, which stay as they are.
        notify: Called with each choice and its reason.

    Returns:
        A `Config` that `train` and `cross_validate` take.

    Raises:
        UserError: For a source or a setting that cannot be used, and for a network whose cost cannot be told.

    Example:
        >>> config = tumorline.plan("scans", minutes=5, memory_gb=4, gflops=50)
        >>> config.data.window is None, config.train.epochs > 0
        (True, True)
    """
    from tumorline.planning import find_at_hand, plan_source

    found = plan_source(Path(source), find_at_hand(minutes, memory_gb, gflops), overrides, axes)
    for line in found.explain():
        notify(line)
    return found.config.model_copy(
        update={
            "name": found.name,
            "data": found.config.data.model_copy(update={"source": str(Path(source).resolve())}),
        }
    )


def write_plan(
    source: Path | str,
    *,
    minutes: float = 60.0,
    memory_gb: float | None = None,
    gflops: float | None = None,
    axes: int | None = None,
    overrides: Iterable[str] = (),
    output: Path | str | None = None,
    progress: Progress | None = None,
) -> "tuple[Path, Plan]":
    """Plan a training for a source and this machine, and write its recipe; returns the file and the plan.

    The plan is for `minutes` of training, and for the memory and the speed of this machine unless others are stated.
    What `overrides` set stays as it is. The recipe goes to `output`, else to `plan-<source>.toml`, replacing nothing.
    """
    from tumorline.planning import find_at_hand, plan_source

    hand = find_at_hand(minutes, memory_gb, gflops)
    found = plan_source(Path(source), hand, overrides, axes, progress)
    path = Path(output) if output else Path(f"plan-{found.name}.toml")
    if path.exists():
        raise UserError(f"{path}: exists already; choose another --output")
    write_text(path, found.to_toml())
    return path, found


def tune(
    config: Path | str,
    *,
    data: Path | str | None = None,
    overrides: Iterable[str] = (),
    output: Path | str | None = None,
    trials: int | None = None,
    notify: Notify = silent,
) -> Path:
    """Search for better settings by validation Dice, as the `[tune]` section of a file says. Needs the `tune` extra.

    The same call goes on where it was stopped; the test part is not looked at.

    Args:
        config: TOML file with `[tune]` and `[tune.space]`; see `configs/tune/lite0.toml`.
        data: A source in any supported layout; None takes the one of the file.
        overrides: As in `train`.
        output: Folder for the trials; None takes `runs/<name>-tune`.
        trials: Trials all together, in place of the file's number.
        notify: Called with each line of progress.

    Returns:
        The folder: `best.toml` is the configuration to train, `tune.html` shows what was tried.

    Raises:
        UserError: For a space or a configuration that cannot be used, and without the extra.

    Example:
        >>> _ = Path("space.toml").write_text(SPACE)
        >>> folder = tumorline.tune("space.toml", data="scans", output="runs/search", trials=2)
        >>> (folder / "best.toml").is_file()
        True
    """
    from tumorline import tuning

    source = None if data is None else str(Path(data).resolve())
    plan = tuning.read_plan(find_recipe(config, "tune"), source, overrides, trials)
    folder = Path(output) if output else Path("runs") / f"{plan.config({}).name}-tune"
    _checked(folder, plan.config({}).data)
    with trusting(modules_in([plan.recipe, [space for space in plan.tune.space.values() if isinstance(space, list)]])):
        tuning.tune(plan, folder, notify)
    return folder


def _checked(folder: Path, data: DataConfig) -> Path:
    """The folder. Raises UserError for a place where no results can be, or where they would lie among the data."""
    check_place(folder)
    for source in (data.source, *(source.path for source in data.sources)):
        refuse_in_data(folder, source)
    return folder


def resume(
    folder: Path | str,
    notify: Notify = silent,
    test: bool = True,
    trust_modules: Iterable[str] = (),
    trust_paths: bool = False,
    callbacks: Sequence[Callback] = (),
    epochs: int | None = None,
) -> Path:
    """Go on with a run that was stopped, or that was trained without `test`, to the same weights.

    Args:
        folder: The run folder.
        notify: Called with each line of progress.
        test: Whether to evaluate and report at the end.
        trust_modules: Modules from outside Tumorline that its network may be imported from: that runs their code.
        trust_paths: Whether to open the data that its configuration names where another user or machine began the run.
        callbacks: As in `train`.
        epochs: More of them than it had lengthen a run of the schedules 'constant' and 'plateau', which then is what it
            would have been with so many; None leaves it as it is.

    Returns:
        The run folder.

    Raises:
        UserError: For what is no run folder, for data that changed, for code or paths that are not trusted, and for a
            schedule that cannot be lengthened.

    Example:
        >>> run = tumorline.train(data="scans", overrides=SMALL, output="runs/halfway", test=False)
        >>> (tumorline.resume(run) / "summary.json").is_file()
        True
    """
    from tumorline import run

    with trusting(trust_modules), trusting_paths(trust_paths), local_only():
        config = read_local_config(Path(folder))
        check_callbacks(callbacks)
        run.resume(Path(folder), config, notify, callbacks, epochs, test)
    return Path(folder)


@dataclass(frozen=True)
class EvaluationOptions:
    """How an evaluation or a matrix is carried out; see `evaluate`. A matrix has no stress and trusts no paths."""

    output: Path | str | None = None
    overwrite: bool = False
    overrides: tuple[str, ...] = ()
    allow_training_cases: bool = False
    trust_paths: bool = False
    stress: bool = False
    tta: str = "none"
    processes: int = 1
    progress: Progress | None = None
    subsets: bool = False
    stress_progress: Progress | None = None
    precision: str = "float32"
    runtime: str = DEFAULT

    def load(self, model: Path | str) -> Model:
        return load(model, self.tta, self.precision, self.runtime, requests=count_cores())

    @property
    def computed(self) -> dict[str, str]:
        """What of the settings figures depend on, beside those that were always there."""
        chosen = {"precision": self.precision, "runtime": self.runtime}
        return {name: value for name, value in chosen.items() if value not in ("float32", DEFAULT)}


def evaluate(
    model: Path | str = BUILTIN,
    data: Path | str | None = None,
    *,
    output: Path | str | None = None,
    overwrite: bool = False,
    overrides: Iterable[str] = (),
    allow_training_cases: bool = False,
    trust_paths: bool = False,
    stress: bool = False,
    tta: str = "none",
    processes: int = 1,
    progress: Progress | None = None,
    subsets: bool = False,
    precision: str = "float32",
    runtime: str = DEFAULT,
) -> dict[str, Any]:
    """Score a model on cases that it was not trained on, at the masks' own resolution.

    Cases that the model was trained or validated on are left out. Called again after a stop it goes on.

    Args:
        model: A run folder, a `.safetensors` file with its ONNX file beside it, or a listed model such as 'builtin'.
        data: A source in any supported layout; None is the test part of the data that the model was trained on.
        output: Folder for `evaluation.csv`, `summary.json`, `predictions/` and `report.html`; None makes
            `evaluations/<time>-<model>-<source>`.
        overwrite: Whether to replace other results of Tumorline in that folder; never other files.
        overrides: 'data.key=value' texts, for how the source is read.
        allow_training_cases: Score training cases too, and mark every output.
        trust_paths: Open the data that the configuration names where another user or machine began the run.
        stress: Score again under noise, blur, turns and the like (`stress.csv`); takes about 35 times as long.
        tta: Test-time augmentation: 'none', 'flips' (4 copies) or 'all' (8).
        processes: So many score the masks where that pays; a script then needs `if __name__ == "__main__"`.
        progress: Called with the number of cases that are done and of all.
        subsets: Score again with each subset of the channels (`subsets.csv`), of a model that may do without some.
        precision: In which the network computes, as in `load`; `summary.json` says which it was.
        runtime: The library that runs it, as in `load`.

    Returns:
        The content of `summary.json`. `regions` has, for each region, figures such as `dice`, `nsd`, `hd95` (in mm,
        else px) and `volume_ratio`, each with `mean`, `median`, `ci95` (None below 20 patients), `mean_over_cases` and
        `patients`; beside them stand `cases`, `patients`, `case_status`, `baselines`, `warnings` and more.

    Raises:
        UserError: For a source or model that cannot be used, where no case is left, and for a folder with other
            results.

    Example:
        >>> summary = tumorline.evaluate("runs/first", "other", output="evaluations/first")
        >>> summary["cases"], sorted(summary["regions"])
        (8, ['tumour'])
        >>> 0 <= summary["regions"]["tumour"]["dice"]["mean"] <= 1
        True
    """
    how = EvaluationOptions(
        output,
        overwrite,
        tuple(overrides),
        allow_training_cases,
        trust_paths,
        stress,
        tta,
        processes,
        progress,
        subsets,
        progress,
        precision,
        runtime,
    )
    return write_evaluation(model, data, how)[1].to_json()


def write_evaluation(model: Path | str, data: Path | str | None, how: EvaluationOptions) -> tuple[Path, Summary]:
    """As `evaluate`, with the folder of the results."""
    loaded = how.load(model)
    if how.subsets:
        require_lacking(loaded.info)
    with trusting_paths(how.trust_paths):
        dataset = open_wanted(loaded, data, how.overrides)
    name = f"{loaded.info.name}-{dataset.source.name}" + ("" if how.tta == "none" else f"-{how.tta}")
    more: dict[str, Any] = {"subsets": True} if how.subsets else {}
    settings = hash_settings(
        tta=how.tta, training_cases=how.allow_training_cases, stress=how.stress, **more, **how.computed
    )
    identity = {"inputs": hash_dataset(dataset), "model": loaded.fingerprint, "settings": settings}
    purpose = Purpose("evaluate", identity, "evaluations", name)
    with open_evaluation(how.output, purpose, how.overwrite, [dataset]) as folder:
        wanted = request(dataset, Memory(folder), how.allow_training_cases, how.processes)
        shown = images_to_show(loaded, data)
        summary = evaluate_and_report(loaded, wanted, how.progress, shown)
        if how.stress:
            summary = add_stress(loaded, wanted, summary, how.stress_progress)
        if how.subsets:
            summary = add_subsets(loaded, wanted, summary, progress=how.progress)
        if how.stress or how.subsets:
            write_report(folder.path, known_reader(dataset, shown))
    return folder.path, summary


def cross_evaluate(
    models: Sequence[Path | str],
    data: Sequence[str],
    *,
    output: Path | str | None = None,
    overwrite: bool = False,
    overrides: Iterable[str] = (),
    allow_training_cases: bool = False,
    tta: str = "none",
    processes: int = 1,
    progress: Progress | None = None,
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
    how = EvaluationOptions(
        output,
        overwrite,
        tuple(overrides),
        allow_training_cases,
        tta=tta,
        processes=processes,
        progress=progress,
    )
    return write_matrix(models, data, how)[1].to_json()


def write_matrix(models: Sequence[Path | str], data: Sequence[str], how: EvaluationOptions) -> tuple[Path, Matrix]:
    """As `cross_evaluate`, with the folder of the results."""
    specs = cross_dataset.checked([read_spec(text) for text in data])
    loaded = load_named(models, how.load)
    opened = functools.cache(open_usable)
    sets = {
        (name, spec.name): opened(*evaluation_data(model, spec.path, [*how.overrides, *spec.settings]))
        for name, model in loaded.items()
        for spec in specs
    }

    identity = {
        "inputs": hash_settings(sets=[(*names, hash_dataset(dataset)) for names, dataset in sets.items()]),
        "models": hash_settings(models=[(name, model.fingerprint) for name, model in loaded.items()]),
        "settings": hash_settings(tta=how.tta, training_cases=how.allow_training_cases, **how.computed),
    }
    purpose = Purpose("evaluate several", identity, "evaluations", "matrix")
    with open_evaluation(how.output, purpose, how.overwrite, sets.values()) as folder:

        def evaluate_cell(model: str, dataset: Dataset, cell: Path) -> Summary:
            wanted = request(dataset, Memory(folder, cell.name), how.allow_training_cases, how.processes)
            return evaluate_and_report(loaded[model], wanted, how.progress)

        infos = {name: model.info for name, model in loaded.items()}
        return folder.path, cross_dataset.measure_matrix(infos, sets, folder.path, evaluate_cell)


def compare(
    runs: Sequence[Path | str] = (),
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
            `comparisons/<names>`.

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
    runs: Sequence[Path | str] = (),
    *,
    groups: Mapping[str, Sequence[Path | str]] | None = None,
    study: comparison.Study | None = None,
    reference: str = "",
    output: Path | str | None = None,
) -> tuple[Path, Comparison]:
    """As `compare`, with the folder of the results."""
    recipes = {name: [Path(folder) for folder in folders] for name, folders in (groups or {}).items()}
    result = comparison.compare(comparison.name_runs([Path(run) for run in runs]), recipes, study, reference)
    names = "-".join(result.names)
    firsts = [Path(run) for run in runs] or [folders[0] for folders in recipes.values()]
    folder = Path(output) if output else Path("comparisons") / fit_file_name(names.replace("/", "_"), "")
    claim_output(folder, "compare", comparison.NAMES)
    comparison.save_comparison(result, firsts, folder)
    return folder, result


def check(
    source: Path | str,
    overrides: Iterable[str] = (),
    progress: Progress | None = None,
    against: Path | str | None = None,
) -> list[Finding]:
    """Look for what would spoil a training or a figure, or for what two sources share.

    Args:
        source: A source in any supported layout; with `against` also a plain folder of pictures.
        overrides: 'data.key=value' texts, for how the source is read.
        progress: Called with the number of cases that are decoded and of all.
        against: Another source: the findings are then the pictures and patients that are in both.

    Returns:
        The findings, errors first; each has `code`, `severity` ('error', 'warning' or 'info'), `message` and `files`.

    Raises:
        UserError: Where the source is in no supported layout.

    Example:
        >>> [finding.code for finding in tumorline.check("scans") if finding.severity == "error"]
        []
    """
    settings = load_config(None, overrides).data
    if against is None:
        return checks.check(load_dataset(Path(source), settings, progress))
    sets = [between.load_pictures(Path(path), settings, progress) for path in (source, against)]
    return list(between.compare_sets(*sets).findings)


def describe_data(
    sources: Sequence[Path | str] | Path | str,
    *,
    output: Path | str | None = None,
    overrides: Iterable[str] = (),
    overwrite: bool = False,
    progress: Progress | None = None,
) -> tuple[Path, list[Finding]]:
    """Write a page of what a source holds before one trains; returns its folder and the findings of the check.

    Several sources, each with settings of its own after commas, are looked at as they would train together. Every case
    is decoded once. `data.html` and `cases.csv` go to `output`, else to `data_reports/<time>-<source>`; what lies there
    is replaced with `overwrite` only.
    """
    given = [sources] if isinstance(sources, str | Path) else sources
    config = with_data(load_config(None, overrides), given, absolute=False)
    if output:
        _checked(Path(output), config.data)
    observer = Observer()
    dataset = load_data(config, progress, observer.look)
    described = Described(dataset, observer, checks.check(dataset), _split_or_why(dataset, config))
    settings = hash_settings(split=config.split.model_dump(mode="json"))
    identity = {"inputs": hash_dataset(dataset), "settings": settings}
    purpose = Purpose("data report", identity, "data_reports", dataset.source.name)
    with open_output(Path(output) if output else None, purpose, overwrite) as folder:
        write_data_page(described, folder.path)
    return folder.path, list(described.findings)


def _split_or_why(dataset: Dataset, config: Config) -> Split | str:
    """How the cases would be split, or in one line why they cannot be."""
    try:
        return split_dataset(dataset, config.split)
    except UserError as error:
        return str(error)


def predict(
    inputs: Sequence[Path | str] | Path | str = (),
    model: Path | str = BUILTIN,
    output: Path | str | None = None,
    progress: Progress | None = None,
    tta: str = "none",
    overwrite: bool = False,
    channels: Sequence[str] = (),
    enhancing_label: int | None = None,
    keep_identifiers: bool = False,
    overlay: bool = True,
    precision: str = AUTO,
    runtime: str = DEFAULT,
) -> list[dict[str, Any]]:
    """Predict pictures, volumes, scans or folders of them, and write masks, overlays and tables.

    Args:
        inputs: A file or folder, or several: PNG, JPEG, TIFF, DICOM, `.mat`, NIfTI, folders of DICOM slices; of a model
            of several channels also folders in which the volumes of a scan are named by sequence, or a table with a
            column of files for each channel.
        model: As in `evaluate`.
        output: Folder for the masks, overlays, `predictions.csv` and `.json`; None makes `predictions/<time>`.
        progress: Called with the number of cases that are done and of all.
        tta: Test-time augmentation: 'none', 'flips' (4 copies) or 'all' (8).
        overwrite: Whether to replace other results of Tumorline in that folder; never other files.
        channels: In place of `inputs` the files of one case by channel, such as 'flair=a.nii.gz'.
        enhancing_label: 3 or 4, as which BraTS's enhancing tumour is written (4 where None).
        keep_identifiers: Show the ids of patients and series of DICOM headers instead of their hashes.
        overlay: Write a picture to look at of each case.
        precision: In which the network computes, as in `load`; `predictions.json` says which it was.
        runtime: The library that runs it, as in `load`.

    Returns:
        One row a case: `input`, `mask` and `overlay` (paths), `tumour_px`, `tumour_share`, `tumour_ml` (of volumes),
        `confidence` (0 to 1, None of an empty mask), `note`, and `error`, which says why a case failed.

    Raises:
        UserError: Where an input does not exist or holds no image, and for a folder with other results.

    Example:
        >>> (row,) = tumorline.predict("scans/images/s000.png", "runs/first", output="predictions/one")
        >>> Path(row["mask"]).name, row["error"]
        ('s000_mask.png', None)
    """
    return write_predictions(
        inputs,
        model,
        output=output,
        overwrite=overwrite,
        tta=tta,
        channels=channels,
        enhancing_label=enhancing_label,
        keep_identifiers=keep_identifiers,
        overlay=overlay,
        precision=precision,
        runtime=runtime,
        progress=progress,
    )[1]


def predict_array(
    image: Any,
    model: Model | Path | str = BUILTIN,
    *,
    spacing_mm: Sequence[float] | None = None,
    tta: str = "none",
) -> dict[str, Any]:
    """Predict one image in memory, or one file, and write nothing.

    Args:
        image: As `Model.mask` takes it: an array `(H, W)`, `(C, H, W)` or `(C, D, H, W)` in any grey scale, a path, or
            a pydicom dataset.
        model: A model from `load`, which is quicker for many images, or what `load` opens.
        spacing_mm: Of an array the size of a pixel (rows, columns) or voxel (slices, rows, columns) in mm; files state
            their own.
        tta: Test-time augmentation as in `load`, of a model that is opened here.

    Returns:
        `mask` (boolean `(R, *space)`), `probability` (float32, the same shape), `regions` (R names), `threshold` (R
        numbers), `model` (its name), `tumour_px` and `tumour_share` of all regions together, `tumour_mm2` (of a
        picture) or `tumour_ml` (of a volume), None where the spacing is unknown, `confidence` (0 to 1, None of an empty
        mask), `blank` (whether the image shows nothing).

    Raises:
        UserError: For what is no image, for another number of channels, and for a spacing that does not fit.

    Example:
        >>> found = tumorline.predict_array(np.zeros((64, 48)), "runs/first")
        >>> found["mask"].shape, found["tumour_px"], found["blank"]
        ((1, 64, 48), 0, True)
    """
    if isinstance(model, Model) and tta != "none":
        raise UserError("tta is that of the model which is given; open it with tumorline.load(..., tta=...)")
    return predict_given(image, model if isinstance(model, Model) else load(model, tta), spacing_mm)


def write_predictions(
    inputs: Sequence[Path | str] | Path | str = (),
    model: Path | str = BUILTIN,
    *,
    output: Path | str | None = None,
    overwrite: bool = False,
    tta: str = "none",
    channels: Sequence[str] = (),
    enhancing_label: int | None = None,
    keep_identifiers: bool = False,
    overlay: bool = True,
    precision: str = AUTO,
    runtime: str = DEFAULT,
    progress: Progress | None = None,
    notify: Notify = silent,
) -> tuple[Path, list[dict[str, Any]]]:
    """As `predict`, with the folder of the results; `notify` hears what is left out and how series were understood."""
    given = [Path(path) for path in ([inputs] if isinstance(inputs, (str, Path)) else inputs)]
    if bool(given) == bool(channels):
        raise UserError("predict: give INPUT, or --channel NAME=FILE for each channel of one case")
    is_alone = len(given) == 1 and given[0].suffix.lower() in PICTURE_SUFFIXES and given[0].is_file()
    loaded = load(model, tta, precision, runtime, requests=1 if is_alone else count_cores())
    labels = region_labels(loaded.info.regions, enhancing_label)
    known, may_lack = loaded.channels, loaded.info.input.may_lack_channels
    listed = job_of_channels(channels, known, notify, may_lack) if channels else None
    jobs = [listed] if listed else list_jobs(given, known, notify, may_lack)
    of_dicom, of_series = any(job.is_dicom for job in jobs), any(job.series for job in jobs)
    predictor = Predictor(loaded, labels, of_dicom, of_series, keep_identifiers, overlay)
    if output:
        refuse_inputs_in(Path(output), (path for job in jobs for path in job.files))
    contents = hash_inputs(path for job in jobs for path in job.files)
    more = {
        "enhancing_label": enhancing_label,
        "keep_identifiers": keep_identifiers,
        "no_overlay": not overlay,
        "precision": "" if loaded.precision == "float32" else loaded.precision,
        "runtime": "" if runtime == DEFAULT else runtime,
    }
    settings = {"tta": tta, **{name: value for name, value in more.items() if value}}
    identity = {"inputs": contents, "model": loaded.fingerprint, "settings": hash_settings(**settings)}
    purpose = Purpose("predict", identity, "predictions")
    with open_output(Path(output) if output else None, purpose, overwrite) as folder:
        workers = count_workers(loaded, any(job.is_volume for job in jobs), len(jobs))
        rows = prediction.predict(jobs, predictor, folder, progress, workers)
    if any(row.get("segmentation") for row in rows):
        notify(IDENTIFIED)
    return folder.path, rows


def ensemble(
    models: Sequence[Path | str] | Path | str,
    output: Path | str,
    threshold: float | None = None,
    overwrite: bool = False,
    trust_modules: Iterable[str] = (),
) -> Path:
    """Write several models, or a folder of folds, as one model file that averages their probabilities.

    It has its ONNX file beside it, and knows the cases of all members. Needs the `train` extra; what it writes does
    not.

    Args:
        models: Models as in `evaluate`, two or more, or one folder of `cross_validate`.
        output: The `.safetensors` file to write.
        threshold: Probability from which a pixel is tumour; None takes the mean of the members'.
        overwrite: Whether to replace an ensemble that is there already.
        trust_modules: Modules from outside Tumorline that its networks may be imported from: that runs their code.

    Returns:
        The path of the file.

    Raises:
        UserError: For members that do not fit (channels, regions, input), and for a file that is there already.

    Example:
        >>> tumorline.ensemble(["runs/first", "runs/first"], "both.safetensors").name
        'both.safetensors'
    """
    from tumorline.ensembles import write_ensemble

    chosen = [models] if isinstance(models, (str, Path)) else models
    with trusting(trust_modules):
        write_ensemble([Path(model) for model in chosen], Path(output), threshold, overwrite)
    return Path(output)


def export(
    model: Path | str,
    output: Path | str | None = None,
    overwrite: bool = False,
    trust_modules: Iterable[str] = (),
    format: str = "onnx",
) -> Path:
    """Write a model's network to `output`, else to `<model>.onnx` in the current folder; returns its path.

    The format is 'onnx', 'openvino' (`.xml`, with its weights beside it as `.bin`) or 'torchscript' (`.pt`); what was
    written is held against the network in torch first. A file of Tumorline that is there already is replaced with
    `overwrite` only. Needs the `train` extra. A network from outside Tumorline is imported from `trust_modules` only:
    that runs its code.
    """
    require_extra("torch", "export", "train")
    from tumorline.export_formats import find_format

    suffix, write, is_ours = find_format(format)
    path = find_model(Path(model))
    target = Path(output) if output else Path(f"{model_name(path)}{suffix}")
    refuse_taken_file(target, suffix, overwrite, is_ours)
    if suffix == ".xml" and not target.exists() and target.with_suffix(".bin").exists():
        raise UserError(f"{target.with_suffix('.bin')}: exists already; choose another --output")
    with trusting(trust_modules):
        return write(path, target)


def losses() -> list[dict[str, str]]:
    """Name and first line of the description of each loss."""
    require_extra("torch", "the list of losses", "train")
    from tumorline.losses import LOSSES

    return [{"loss": name, "what": _first_line(loss)} for name, loss in LOSSES.items()]


def _first_line(described: object) -> str:
    return (inspect.getdoc(described) or "").splitlines()[0]
