"""`python -m tests.live.controlplane`: one control plane for a person, until Ctrl-C."""

from __future__ import annotations

import signal
import sys

from tests.live.controlplane.build import BuildError
from tests.live.controlplane.instance import ControlPlane
from tests.live.processes import ProcessError


def main() -> int:
    # A polite end is an end like Ctrl-C; everything else is the supervisor's business.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with ControlPlane() as cluster:
            print(f"Kubernetes is ready at {cluster.url}. Ctrl-C ends it. In another terminal:")
            print(f"export KUBECONFIG={cluster.kubeconfig}", flush=True)
            signal.pause()
    except (BuildError, ProcessError) as error:
        print(f"controlplane: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("ended")
    return 0


if __name__ == "__main__":
    sys.exit(main())
