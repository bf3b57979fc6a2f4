"""Settings, read once, validated and frozen, and the de-identification profiles that we ship.

Nothing outside this room reads the environment.
"""

from config.errors import ConfigError
from config.load import load_settings
from config.profile_files import profile_text
from config.settings import Peer, Route, Settings

__all__ = ["ConfigError", "Peer", "Route", "Settings", "load_settings", "profile_text"]
