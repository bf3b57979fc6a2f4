"""An acceptor as a process of its own: ``python -m tests.scp.acceptor_process SPOOL PROCESSES [SETTING=VALUE …]``.

Prints its port once it listens, and ends at SIGTERM.
"""

import sys
from pathlib import Path

from scp.acceptor import Acceptor
from scp.spool import Spool
from tests.scp.conftest import NAME_KEY, settings


def main() -> None:
    folder, processes, *changes = sys.argv[1:]
    numbers = {
        name: float(value) if "." in value else int(value) for name, _, value in (c.partition("=") for c in changes)
    }
    spool = Spool(Path(folder), name_key=NAME_KEY, reserve_bytes=0)
    acceptor = Acceptor(settings(**numbers), spool, processes=int(processes))
    acceptor.run(on_ready=lambda: print(acceptor.ports[0], flush=True))


if __name__ == "__main__":
    main()
