"""The database engine of an embedded hub: Django's SQLite, with writers that queue up instead of trying again.

May live here: how threads of one process share one database file. May not: which rows, and when.
"""
