"""Libraries that report their use to their makers are told not to, before anything imports them."""

import os
import sys

SETTINGS = {"HF_HUB_DISABLE_TELEMETRY": "1", "RAY_USAGE_STATS_ENABLED": "0", "MLFLOW_DISABLE_TELEMETRY": "true"}
"""Whoever has set them otherwise has asked for it."""


def refuse_reports() -> None:
    """OpenVINO reports its import by a package of its own, and does without where that cannot be imported.

    The package writes `~/intel` whatever is chosen, with its opt-out too.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
