"""What a training job proved, as one page for the people who own its golden data."""

from shared.report.page import render
from shared.report.source import ReportSource, gather

__all__ = ["ReportSource", "gather", "render"]
