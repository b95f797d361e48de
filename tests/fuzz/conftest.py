"""The table that `make fuzz` ends with."""

import pytest

from fuzz.trials import TABLE, table


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if TABLE:
        terminalreporter.section("hostile input")
        terminalreporter.write_line(table())
