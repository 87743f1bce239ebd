"""What a model says of itself, and the bounds of it: a model file may come from anyone."""

from tumorline.model_info.bounds import SCHEMA_VERSION
from tumorline.model_info.described import (
    VALIDATION_DICE,
    ChosenGate,
    ChosenLimits,
    KnownCases,
    ModelMetrics,
    PrecisionChange,
    TrainingData,
    TrainingSource,
    TrainingSplit,
)
from tumorline.model_info.info import (
    Member,
    ModelInfo,
    describe_points,
    one_for_each,
    one_or_list,
    point_figures,
)
from tumorline.model_info.network import Architecture, InputSpec
from tumorline.model_info.text import LARGEST_METADATA, parse_info, write_info

__all__ = [
    "LARGEST_METADATA",
    "SCHEMA_VERSION",
    "VALIDATION_DICE",
    "Architecture",
    "ChosenGate",
    "ChosenLimits",
    "InputSpec",
    "KnownCases",
    "Member",
    "ModelInfo",
    "ModelMetrics",
    "PrecisionChange",
    "TrainingData",
    "TrainingSource",
    "TrainingSplit",
    "describe_points",
    "one_for_each",
    "one_or_list",
    "parse_info",
    "point_figures",
    "write_info",
]
