"""Looks at report.html in a real browser, by hand, where Chromium is installed: `python -m tools.report_check -h`."""
