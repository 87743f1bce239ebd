"""Figures of masks: of one case and region, then with their intervals over many, and how two models compare."""
