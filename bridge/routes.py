"""From the settings' routes to the destination that the case store knows."""

import hashlib

from cases.intake import Destination
from config.settings import Settings


def destination_for(settings: Settings, calling_ae: str, called_ae: str) -> Destination:
    """Return where a study from this sender to this AE title goes.

    Studies for one owner under one profile share a destination whoever sent them, so that the same study sent by two
    machines becomes one draft; another owner gets a case of their own.
    """
    route = settings.route_for(calling_ae, called_ae)
    owner, profile, hospital = route.owner or "", route.profile or settings.profile, route.hospital or ""
    spelled = f"{owner}\0{profile}\0{hospital}"
    return Destination(
        id=hashlib.sha256(spelled.encode()).hexdigest()[:12],
        calling_ae=calling_ae,
        called_ae=called_ae,
        owner=route.owner,
        hospital=hospital,
        profile=profile,
        quiet_period_s=route.quiet_period_s,
        max_settle_s=route.max_settle_s,
    )
