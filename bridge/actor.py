"""Who runs a command, for the audit log."""

import os
import pwd


def command_line_actor() -> str:
    """Return who runs the command, as this machine knows them."""
    try:
        return f"command-line ({pwd.getpwuid(os.getuid()).pw_name})"
    except KeyError:
        return f"command-line (uid {os.getuid()})"
