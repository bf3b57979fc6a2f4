"""Settings, read once, validated and frozen, and the de-identification profiles that we ship.

Nothing outside this room reads the environment.
"""

from config.errors import ConfigError
from config.load import load_settings
from config.settings import Peer, Route, Settings, profile_text

__all__ = ["ConfigError", "Peer", "Route", "Settings", "load_settings", "profile_text"]
