"""Nudges: Celery tasks that carry ids only, and the runtime of a worker process.

A message is a hint and may be lost, doubled or late; every task reads the rows again (house.md 4.1). May live here:
tasks, publishing after commit, what one worker process keeps running. May not: decisions, writes of records.
"""
