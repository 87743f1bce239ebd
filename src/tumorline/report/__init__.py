"""One self-contained HTML page per run, from the files of its run folder."""

from tumorline.report.page import write_report

__all__ = ["write_report"]
