"""Pages for people who need no admin site: linking a chat account, an approval, and where links lead.

May live here: what a page shows and which service it calls. May not: writes of its own, REST.
"""
