"""The sandbox: a simulated cluster that answers over HTTP like a Kubernetes API server.

May live here: a server in its own right, its controllers, its faults. It imports nothing of the project but
`clusters.core.manifests`. May not: anything a real API server does not do, except under `/sandbox/`.
"""

from clusters.sandbox.answers import ApiError
from clusters.sandbox.faults import Fault, Faults
from clusters.sandbox.server import Cluster, Sandbox

__all__ = ["ApiError", "Cluster", "Fault", "Faults", "Sandbox"]
