"""Errors of the room.

ConfigError                      → exit 2, before any port opens
"""

from collections.abc import Iterable


class ConfigError(Exception):
    """Settings that cannot be used: each fault is a sentence that names the setting, its fault and the mend."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))
