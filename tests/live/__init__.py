"""Tests that need real servers, and what starts them: skipped unless HUB_LIVE=1 (`make live`).

Here lives what runs a control plane, PostgreSQL and Redis as processes, and the suites that use them.
Not here: tests that the simulated cluster or SQLite can serve alone.
"""
