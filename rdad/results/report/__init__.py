"""report.html: one page to look at a test's results, which needs nothing but a browser."""
