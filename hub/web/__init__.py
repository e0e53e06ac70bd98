"""Pages for people who need no admin site: today, linking a chat account.

May live here: what a page shows and which service it calls. May not: writes of its own, REST.
"""
