"""The REST door: the only user of Django REST framework.

May live here: urls, errors, permissions, one module per noun. May not: decisions or writes (hub.services).
"""
