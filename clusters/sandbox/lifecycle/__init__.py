"""The controllers of a simulated cluster: what happens to objects after they were written.

May live here: one module per family of kinds. A controller looks at one object at a time (level, not edge) and is
asked again whenever something it may depend on changes. May not: anything about HTTP.

Annotations of a pod (template) rule pods as in a control plane with kwok (api-server-facts 1.3): `sim/ready-after`,
`sim/not-ready`, `sim/waiting`, `sim/ends-after`, `sim/exit-code`, `sim/message`, `sim/gone-after`.
"""

from clusters.sandbox.lifecycle.driver import Controllers

__all__ = ["Controllers"]
