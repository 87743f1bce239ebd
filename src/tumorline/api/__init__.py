"""The public functions, a module for each family: what the command line calls and a script may call as well."""

from tumorline.api.benchmarks import benchmark, benchmark_folder, run_benchmark
from tumorline.api.comparing import compare, write_comparison
from tumorline.api.data import check, describe_data
from tumorline.api.evaluating import EvaluationOptions, evaluate, write_evaluation
from tumorline.api.folds import cross_validate
from tumorline.api.matrix import cross_evaluate, write_matrix
from tumorline.api.models import ensemble, export, losses
from tumorline.api.planning import plan, write_plan
from tumorline.api.predicting import predict, predict_array, write_predictions
from tumorline.api.training import find_learning_rate, resume, train
from tumorline.api.tuning import tune

__all__ = [
    "EvaluationOptions",
    "benchmark",
    "benchmark_folder",
    "check",
    "compare",
    "cross_evaluate",
    "cross_validate",
    "describe_data",
    "ensemble",
    "evaluate",
    "export",
    "find_learning_rate",
    "losses",
    "plan",
    "predict",
    "predict_array",
    "resume",
    "run_benchmark",
    "train",
    "tune",
    "write_comparison",
    "write_evaluation",
    "write_matrix",
    "write_plan",
    "write_predictions",
]
