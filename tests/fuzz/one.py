"""Fuzz with atheris, guided by coverage: ``python -m tests.fuzz.one TARGET[,TARGET...] FOLDER SECONDS SEED``.

atheris takes the process for itself and never returns; :mod:`tests.fuzz.campaign` starts this as a child.
"""

import sys
import threading
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["scp", "deidentify", "bridge.journals"]):
    from tests.fuzz.targets import TARGETS, chosen, joined, left_over, regressions

HANG_S = 5
MEMORY_MB = 1024


def main() -> None:
    joint, folder, seconds, seed = sys.argv[1:]
    names = joint.split(",")
    corpus = Path(folder) / "corpus"
    corpus.mkdir(parents=True)
    examples = [
        joined(names, name, data)
        for name in names
        for data in [*TARGETS[name].seeds(), *(path.read_bytes() for path in regressions(name))]
    ]
    for number, data in enumerate(examples):
        (corpus / f"{number}").write_bytes(data)
    threads = threading.active_count()
    count = 0

    def read(data: bytes) -> None:
        nonlocal count
        count += 1
        name, rest = chosen(names, data)
        TARGETS[name].read(rest)
        if count % 1000 == 0:
            assert threading.active_count() == threads, "a thread was left behind"
            assert not left_over(), "a file was left behind"

    options = [
        f"-max_total_time={seconds}",
        f"-seed={seed}",
        f"-timeout={HANG_S}",
        f"-rss_limit_mb={MEMORY_MB}",
        f"-artifact_prefix={folder}/",
        "-max_len=20000",
        "-print_final_stats=1",
        "-verbosity=0",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], read)
    atheris.Fuzz()


main()
