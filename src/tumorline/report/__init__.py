"""One self-contained HTML page and a model card per run, from the files of its run folder."""

from tumorline.report.card import write_bare_card, write_card
from tumorline.report.page import write_report

__all__ = ["write_bare_card", "write_card", "write_report"]
