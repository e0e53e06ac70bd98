"""Pure decisions about notifications: expressions, triggers, templates, documents, routing, schedule, imports.

May live here: functions of plain mappings. May not: Django, a clock, the network, randomness.
"""
