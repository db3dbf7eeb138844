"""A run as one HTML page that needs nothing from outside."""

from bench.report.page import Entry, Pictures, report_html
from bench.report.sheets import Sheet, read_sheets, webp
from bench.report.view_sets import extreme_view_sets

__all__ = ["Entry", "Pictures", "Sheet", "extreme_view_sets", "read_sheets", "report_html", "webp"]
