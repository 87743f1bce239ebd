"""One TOML file is one run: typed sections, unknown keys refused with the nearest name."""

from tumorline.config.augment import REMEDIES, AugmentConfig
from tumorline.config.data import ABSENT, MOST_CHANNELS, OF_PATCHES, OWN_SETTINGS, PATHS, DataConfig, SourceConfig
from tumorline.config.loss import LossConfig, LossTerm
from tumorline.config.mistakes import explain
from tumorline.config.model import ModelConfig, Postprocessing
from tumorline.config.reading import apply_override, load_config, parse_config, parse_value, read_toml, set_key
from tumorline.config.run import (
    AFTER_TRAINING,
    DECIDED_LATER,
    Config,
    bare_name,
    is_after_training,
    same_training,
    with_bare_names,
    with_bare_weights,
)
from tumorline.config.section import (
    COARSEST_MM,
    FINEST_MM,
    LONGEST_SIDE,
    MANY,
    RUN_NAME,
    SHORTEST_SIDE,
    Section,
    Side,
    Spacing,
)
from tumorline.config.split import SplitConfig
from tumorline.config.train import CYCLE_END, CYCLE_START, LOGGERS, TrainConfig

__all__ = [
    "ABSENT",
    "AFTER_TRAINING",
    "COARSEST_MM",
    "CYCLE_END",
    "CYCLE_START",
    "DECIDED_LATER",
    "FINEST_MM",
    "LOGGERS",
    "LONGEST_SIDE",
    "MANY",
    "MOST_CHANNELS",
    "OF_PATCHES",
    "OWN_SETTINGS",
    "PATHS",
    "REMEDIES",
    "RUN_NAME",
    "SHORTEST_SIDE",
    "AugmentConfig",
    "Config",
    "DataConfig",
    "LossConfig",
    "LossTerm",
    "ModelConfig",
    "Postprocessing",
    "Section",
    "Side",
    "SourceConfig",
    "Spacing",
    "SplitConfig",
    "TrainConfig",
    "apply_override",
    "bare_name",
    "explain",
    "is_after_training",
    "load_config",
    "parse_config",
    "parse_value",
    "read_toml",
    "same_training",
    "set_key",
    "with_bare_names",
    "with_bare_weights",
]
