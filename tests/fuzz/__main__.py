"""``python -m tests.fuzz --seconds 3600 [TARGET ...]``: fuzz for long, each target for that time, two at once.

What fails is kept under tests/fuzz/regressions and is tried in each run of the tests from then on.
"""

import argparse
import random
import sys

from tests.fuzz.campaign import campaign
from tests.fuzz.targets import TARGETS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 1 << 31))
    parser.add_argument("--at-once", type=int, default=2, help="processes")
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []], metavar="TARGET", help=", ".join(TARGETS))
    said = parser.parse_args()
    print(f"seed {said.seed}")
    failed = 0
    groups = [(name,) for name in said.targets or TARGETS]
    for found in campaign(groups, seconds=said.seconds, seed=said.seed, at_once=said.at_once):
        failed += bool(found.failure)
        verdict = "FAILED" if found.failure else "ok"
        print(f"{found.targets[0]:10} {found.inputs:12,} inputs  {found.peak_mb:5} MB  {verdict}", flush=True)
        if found.failure:
            print(found.failure)
            print("kept:", *found.kept)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
