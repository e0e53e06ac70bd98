"""Kubeconfigs, read by us and never by a client library: those run commands and read files (access-and-api.md CL2).

May live here: text to values, with every refusal by name; judging certificates (CL3).
May not: opening files, starting programs, dialling anything.
"""

from clusters.core.kubeconfig.certificates import check_ca, check_pair
from clusters.core.kubeconfig.reading import Access, Kubeconfig, connection_of, contexts_of, read
from clusters.core.kubeconfig.servers import check_server

__all__ = [
    "Access",
    "Kubeconfig",
    "check_ca",
    "check_pair",
    "check_server",
    "connection_of",
    "contexts_of",
    "read",
]
