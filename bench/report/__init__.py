"""A run as one HTML page that needs nothing from outside."""

from bench.report.page import Pictures, report_html
from bench.report.view_sets import extreme_view_sets

__all__ = ["Pictures", "extreme_view_sets", "report_html"]
