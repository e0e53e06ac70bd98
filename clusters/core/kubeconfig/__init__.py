"""Kubeconfigs, read by us and never by a client library: those run commands and read files (access-and-api.md CL2).

May live here: text to values, with every refusal by name.
May not: opening files, starting programs, dialling anything; who may use which server, proxy or certificate.
"""

from clusters.core.kubeconfig.reading import Kubeconfig, connection, preview, read, read_context

__all__ = ["Kubeconfig", "connection", "preview", "read", "read_context"]
