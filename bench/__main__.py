"""`python -m bench`: names the benchmarks and how to run one."""

from __future__ import annotations

import pkgutil
import sys
from importlib import import_module

import bench


def main() -> None:
    """List the benchmarks, or run the one that is named."""
    names = sorted(m.name for m in pkgutil.iter_modules(bench.__path__) if m.name != "__main__")
    if len(sys.argv) > 1 and sys.argv[1] in names:
        module = import_module(f"bench.{sys.argv.pop(1)}")
        module.main()
        return
    for name in names:
        module = import_module(f"bench.{name}")
        if hasattr(module, "main"):  # others only help
            summary = (module.__doc__ or "").strip().splitlines()[0]
            print(f"  {name:14} {summary}")
    print("\nRun one: make bench ARGS=NAME, or python -m bench NAME --help")


if __name__ == "__main__":
    main()
