"""Every write of the hub, one transaction each; doors call these and nudge after commit.

May live here: functions that change records and write the audit in the same transaction.
May not: enqueueing tasks, HTTP, calls to a cluster inside a transaction.
"""
