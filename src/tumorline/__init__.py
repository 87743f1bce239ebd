"""Tumorline trains, audits, compares and runs segmentation models for brain tumours in MRI.

    import tumorline

    run = tumorline.train(data="scans/")          # a run folder with model, figures and report
    model = tumorline.load(run)                   # no torch needed from here on
    mask = model.mask(image)                      # an array, a path or a DICOM dataset -> boolean (R, H, W)
    summary = tumorline.evaluate(run, "other/")   # the dictionary of summary.json

Names are imported on first use, so that `import tumorline` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tumorline.unreported import refuse_reports

__version__ = "0.2.0.dev0"

if TYPE_CHECKING:
    from tumorline.api import (
        benchmark,
        check,
        compare,
        convert,
        cross_evaluate,
        cross_validate,
        ensemble,
        evaluate,
        find_learning_rate,
        plan,
        predict,
        predict_array,
        resume,
        score,
        train,
        tune,
        view,
    )
    from tumorline.callbacks import Callback
    from tumorline.config import Config, load_config
    from tumorline.data.dataset import load_dataset
    from tumorline.errors import UserError
    from tumorline.inference.model import load
    from tumorline.simulation import simulate

refuse_reports()

_ELSEWHERE = {
    "load": "tumorline.inference.model",
    "load_dataset": "tumorline.data.dataset",
    "simulate": "tumorline.simulation",
    "Callback": "tumorline.callbacks",
    "Config": "tumorline.config",
    "load_config": "tumorline.config",
    "UserError": "tumorline.errors",
}
"""Where the names are that are not in `tumorline.api`."""

__all__ = [
    "Callback",
    "Config",
    "UserError",
    "benchmark",
    "check",
    "compare",
    "convert",
    "cross_evaluate",
    "cross_validate",
    "ensemble",
    "evaluate",
    "find_learning_rate",
    "load",
    "load_config",
    "load_dataset",
    "plan",
    "predict",
    "predict_array",
    "resume",
    "score",
    "simulate",
    "train",
    "tune",
    "view",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'tumorline' has no attribute '{name}'; it has {', '.join(__all__)}")
    return getattr(import_module(_ELSEWHERE.get(name, "tumorline.api")), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
