"""What the files and folders are called that Tumorline writes as results. This module imports nothing."""

# A training.
CONFIG_NAME = "config.toml"
SPLIT_NAME = "split.csv"
HISTORY_NAME = "history.csv"
ENVIRONMENT_NAME = "environment.json"
STATE_NAME = "state.safetensors"
BEST_WEIGHTS_NAME = "best.safetensors"
LOG_NAME = "log.txt"
LENGTHENED_NAME = "lengthened.jsonl"
"""The lengths that a run had before, one a line."""

# Its model.
WEIGHTS_NAME = "model.safetensors"
ONNX_NAME = "model.onnx"
CARD_NAME = "MODEL_CARD.md"
CARD_PAGE_NAME = "model_card.html"

# An evaluation, of a run as well.
EVALUATION_NAME = "evaluation.csv"
SUMMARY_NAME = "summary.json"
PREDICTIONS_NAME = "predictions"
"""The folder of its masks."""
BASELINES_NAME = "baselines.csv"
CERTAINTY_NAME = "certainty.csv"
PRESENCE_NAME = "presence.csv"
STRESS_NAME = "stress.csv"
SUBSETS_NAME = "subsets.csv"
TEST_USES_NAME = "test_uses.jsonl"
REPORT_NAME = "report.html"
REPORT_IMAGES_NAME = "report-images"
"""The folder of the report's pictures where they are too large for it."""

# `tumorline predict`.
PREDICTED_NAME = "predictions.json"
PREDICTED_TABLE_NAME = "predictions.csv"

# `tumorline compare`.
COMPARISON_NAME = "compare.json"
COMPARISON_PAGE_NAME = "compare.html"
COMPARISON_IMAGES_NAME = "compare-images"

# A matrix of models and sets.
MATRIX_NAME = "matrix.json"
MATRIX_TABLE_NAME = "matrix.csv"
MATRIX_PAGE_NAME = "matrix.html"

# `tumorline benchmark`.
LEADERBOARD_NAME = "leaderboard.json"
LEADERBOARD_PAGE_NAME = "leaderboard.html"
LEADERBOARD_TEXT_NAME = "leaderboard.md"
PARETO_NAME = "pareto.svg"
HOURS_NAME = "hours.json"

# `tumorline tune`.
SEARCH_NAME = "tune.toml"
TRIALS_NAME = "trials.json"
TRIALS_TABLE_NAME = "trials.csv"
BEST_TRIAL_NAME = "best.toml"
SEARCH_PAGE_NAME = "tune.html"

# The range test of the learning rate.
LEARNING_RATE_TABLE_NAME = "learning_rate.csv"
LEARNING_RATE_PAGE_NAME = "learning_rate.html"

# `tumorline data fetch`.
FETCHED_NAME = "fetched.json"
"""What a folder says of the set that was fetched into it."""

# The page of a data set.
DATA_PAGE_NAME = "data.html"
DATA_TABLE_NAME = "cases.csv"
