"""Measurements, one command each: `python -m benchmarks.<name>`. They print figures, ratios and the machine.

Nothing of the hub imports anything from here, and no test asserts a time.
"""
