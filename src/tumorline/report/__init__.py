"""Self-contained HTML pages of runs, comparisons, benchmarks, searches and data sets; and the card of a model."""

from tumorline.report.card import write_bare_card, write_card
from tumorline.report.page import write_report

__all__ = ["write_bare_card", "write_card", "write_report"]
