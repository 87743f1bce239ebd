"""The public functions, a module for each family: what the command line calls and a script may call as well.

A module is imported when one of its functions is first asked for: none waits for what another one needs.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tumorline.api.benchmarks import BenchmarkOptions, benchmark, benchmark_folder, benchmark_hours, run_benchmark
    from tumorline.api.comparing import compare, write_comparison
    from tumorline.api.converting import convert, write_converted
    from tumorline.api.data import check, describe_data
    from tumorline.api.evaluating import EvaluationOptions, evaluate, write_evaluation
    from tumorline.api.folds import cross_validate
    from tumorline.api.matrix import cross_evaluate, write_matrix
    from tumorline.api.models import ensemble, export, export_rounded, losses
    from tumorline.api.planning import PlanOptions, plan, write_plan
    from tumorline.api.predicting import PredictionOptions, predict, predict_array, write_predictions
    from tumorline.api.scoring import MaskOptions, score, write_scores
    from tumorline.api.training import find_learning_rate, resume, train
    from tumorline.api.tuning import tune
    from tumorline.api.viewing import view

_NAMES = {
    "benchmarks": ("BenchmarkOptions", "benchmark", "benchmark_folder", "benchmark_hours", "run_benchmark"),
    "comparing": ("compare", "write_comparison"),
    "converting": ("convert", "write_converted"),
    "data": ("check", "describe_data"),
    "evaluating": ("EvaluationOptions", "evaluate", "write_evaluation"),
    "folds": ("cross_validate",),
    "matrix": ("cross_evaluate", "write_matrix"),
    "models": ("ensemble", "export", "export_rounded", "losses"),
    "planning": ("PlanOptions", "plan", "write_plan"),
    "predicting": ("PredictionOptions", "predict", "predict_array", "write_predictions"),
    "scoring": ("MaskOptions", "score", "write_scores"),
    "training": ("find_learning_rate", "resume", "train"),
    "tuning": ("tune",),
    "viewing": ("view",),
}
"""Of each module."""
_HOME = {name: f"tumorline.api.{module}" for module, names in _NAMES.items() for name in names}

__all__ = [
    "BenchmarkOptions",
    "EvaluationOptions",
    "MaskOptions",
    "PlanOptions",
    "PredictionOptions",
    "benchmark",
    "benchmark_folder",
    "benchmark_hours",
    "check",
    "compare",
    "convert",
    "cross_evaluate",
    "cross_validate",
    "describe_data",
    "ensemble",
    "evaluate",
    "export",
    "export_rounded",
    "find_learning_rate",
    "losses",
    "plan",
    "predict",
    "predict_array",
    "resume",
    "run_benchmark",
    "score",
    "train",
    "tune",
    "view",
    "write_comparison",
    "write_converted",
    "write_evaluation",
    "write_matrix",
    "write_plan",
    "write_predictions",
    "write_scores",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'tumorline.api' has no attribute '{name}'")
    return getattr(import_module(_HOME[name]), name)
