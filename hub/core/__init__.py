"""Pure decisions of the hub: may we, who may, what happened, when to look again.

May live here: functions of values to values with a reason. May not: Django, I/O, a clock, randomness.
"""
