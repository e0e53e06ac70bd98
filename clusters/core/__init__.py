"""The pure engine: manifests, diff, hooks, health, plan.

May live here: functions of plain dicts and values. May not: Django, I/O, a clock, randomness.
"""
