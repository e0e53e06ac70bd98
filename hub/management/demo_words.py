"""What the demo says when it is ready: where the hub is, and what to try with the programs of this machine."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

DEPLOYMENT = "apis/apps/v1/namespaces/shop/deployments/web"
CONFIG = "api/v1/namespaces/shop/configmaps/settings"


def what_next(port: int, password: str, kubeconfig: Path, server: str, folder: Path) -> str:
    """The whole text. Without kubectl a simulated cluster is asked with curl: its address carries the token."""
    repository = folder / "repository"
    url = f"http://127.0.0.1:{port}"
    edit, look, config = _kubectl(kubeconfig)
    if shutil.which("kubectl") is None and server.startswith("http://"):
        edit, look, config = _curl(server)
    painted = "colour: green" in (repository / "shop" / "1-config.yaml").read_text()
    old, new = ("green", "blue") if painted else ("blue", "green")
    hub = Path(sys.executable).with_name("hub")
    command = str(hub) if hub.exists() else f"{sys.executable} manage.py"
    return f"""
  The hub:        {url}/admin/   (user admin, password {password})
  Its API:        {url}/api/v1/docs   (sign in above first)

  Try next, in another terminal:
    Edit an object by hand and watch it heal:
      {edit}
      {look}
    Push a commit and watch it arrive, within seconds:
      sed -i.before 's/colour: {old}/colour: {new}/' {repository}/shop/1-config.yaml
      git -C {repository} commit -qam 'Paint it {new}'
      {config}
    See what happened, what differs and why it waits:
      export HUB_DEMO=true HUB_DATA_DIR={folder}
      {command} app history shop
      {command} app get shop

  Ctrl-C ends everything.
"""


def _kubectl(kubeconfig: Path) -> tuple[str, str, str]:
    call = f"kubectl --kubeconfig {kubeconfig} -n shop"
    return (
        f"{call} scale deployment web --replicas=5",
        f"{call} get deployment web -o jsonpath='{{.spec.replicas}}{{\"\\n\"}}'",
        f"{call} get configmap settings -o jsonpath='{{.data}}{{\"\\n\"}}'",
    )


def _curl(server: str) -> tuple[str, str, str]:
    return (
        "curl -sX PATCH -H 'Content-Type: application/merge-patch+json' -d '{\"spec\":{\"replicas\":5}}' "
        f"-o /dev/null {server}/{DEPLOYMENT}",
        f"sleep 1; curl -s {server}/{DEPLOYMENT} | grep -o '\"replicas\":[0-9]*' | head -1",
        f"curl -s {server}/{CONFIG} | grep -o '\"data\":{{[^}}]*}}'",
    )
