"""Functions that the pool's tests run in children, and a parent that a test kills."""

import os
import signal
import time
from pathlib import Path

from bridge.pool import Pool, send_progress

_greeting: list[str] = []


class OddError(Exception):
    """Cannot be rebuilt from its arguments, so it cannot be pickled."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(f"{number} {text}")


class PlainError(Exception):
    pass


def initialize(greeting: str) -> None:
    _greeting.append(greeting)


def initialize_badly() -> None:
    raise ValueError("CANARY^IN^INITIALIZER")


def greet(name: str) -> str:
    return f"{_greeting[0]} {name}"


def pid() -> int:
    return os.getpid()


def add(left: int, right: int) -> int:
    return left + right


def count(to: int) -> int:
    for number in range(to):
        send_progress(number)
    return to


def raise_plain() -> None:
    raise PlainError("as it is")


def raise_odd() -> None:
    raise OddError(1, "CANARY^ODD")


def return_unpicklable() -> object:
    return lambda: None


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def leave(code: int) -> None:
    os._exit(code)


def wait_for(path: str, announce: str = "") -> str:
    """Wait until a file exists."""
    if announce:
        Path(announce).write_text(str(os.getpid()))
    while not Path(path).exists():
        time.sleep(0.005)
    return path


def burn_for_ever(announce: str) -> None:
    Path(announce).write_text(str(os.getpid()))
    while True:
        pass


def parent(folder: str) -> None:
    """Keep one child busy and another idle, and tell their process ids."""
    import threading

    pool = Pool(2)
    pool.wait_until_ready()
    # From a thread that ends at once: the children must outlive the threads that use them.
    first = threading.Thread(target=pool.run, args=(pid,))
    first.start()
    first.join()
    idle = pool.run(pid)
    busy = threading.Thread(target=pool.run, args=(burn_for_ever, f"{folder}/busy"), daemon=True)
    busy.start()
    while not Path(f"{folder}/busy").exists() or not Path(f"{folder}/busy").read_text():
        time.sleep(0.01)
    others = {idle} | {int(Path(f"{folder}/busy").read_text())}
    while len(others) < 2:
        others.add(pool.run(pid))
    Path(f"{folder}/children.part").write_text(" ".join(map(str, others)))
    Path(f"{folder}/children.part").rename(f"{folder}/children")
    busy.join()
