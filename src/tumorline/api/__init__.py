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
    from tumorline.api.training import find_learning_rate, resume, train
    from tumorline.api.tuning import tune
    from tumorline.api.viewing import view

_HOME = {
    "BenchmarkOptions": "tumorline.api.benchmarks",
    "benchmark": "tumorline.api.benchmarks",
    "benchmark_folder": "tumorline.api.benchmarks",
    "benchmark_hours": "tumorline.api.benchmarks",
    "run_benchmark": "tumorline.api.benchmarks",
    "compare": "tumorline.api.comparing",
    "write_comparison": "tumorline.api.comparing",
    "convert": "tumorline.api.converting",
    "write_converted": "tumorline.api.converting",
    "check": "tumorline.api.data",
    "describe_data": "tumorline.api.data",
    "EvaluationOptions": "tumorline.api.evaluating",
    "evaluate": "tumorline.api.evaluating",
    "write_evaluation": "tumorline.api.evaluating",
    "cross_validate": "tumorline.api.folds",
    "cross_evaluate": "tumorline.api.matrix",
    "write_matrix": "tumorline.api.matrix",
    "ensemble": "tumorline.api.models",
    "export": "tumorline.api.models",
    "export_rounded": "tumorline.api.models",
    "losses": "tumorline.api.models",
    "PlanOptions": "tumorline.api.planning",
    "plan": "tumorline.api.planning",
    "write_plan": "tumorline.api.planning",
    "PredictionOptions": "tumorline.api.predicting",
    "predict": "tumorline.api.predicting",
    "predict_array": "tumorline.api.predicting",
    "write_predictions": "tumorline.api.predicting",
    "find_learning_rate": "tumorline.api.training",
    "resume": "tumorline.api.training",
    "train": "tumorline.api.training",
    "tune": "tumorline.api.tuning",
    "view": "tumorline.api.viewing",
}

__all__ = [
    "BenchmarkOptions",
    "EvaluationOptions",
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
    "train",
    "tune",
    "view",
    "write_comparison",
    "write_converted",
    "write_evaluation",
    "write_matrix",
    "write_plan",
    "write_predictions",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'tumorline.api' has no attribute '{name}'")
    return getattr(import_module(_HOME[name]), name)
