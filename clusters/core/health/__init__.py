"""Health of live objects, one rule per kind, facts as files in tests/data/health.

May live here: rules and aggregation as pure functions. May not: running Lua or CEL in this process' main path.
"""
