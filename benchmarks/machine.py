"""The facts without which a figure says nothing."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import version
from pathlib import Path


def facts(*packages: str) -> dict[str, str]:
    """Processor, cores, memory, load of the last minute, system, Python, and versions of `packages`."""
    cpu = re.search(r"model name\s*: (.*)", _read("/proc/cpuinfo"))
    memory = re.search(r"MemTotal:\s*(\d+) kB", _read("/proc/meminfo"))
    found = {
        "cpu": cpu[1] if cpu else platform.processor() or platform.machine(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{int(memory[1]) / 2**20:.0f} GiB" if memory else "unknown",
        "load": f"{os.getloadavg()[0]:.2f}",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }
    return found | {package: version(package) for package in packages}


def as_text(found: dict[str, str]) -> str:
    return "machine: " + ", ".join(f"{name} {value}" for name, value in found.items())


def _read(path: str) -> str:
    file = Path(path)
    return file.read_text() if file.exists() else ""
