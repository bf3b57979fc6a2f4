"""The one database, one class for each aggregate, each on a session of ``Database``."""

from cases.store.accounts import Accounts
from cases.store.administrators import Administrators
from cases.store.audit import Audit
from cases.store.audit_reading import AuditReadings
from cases.store.carried import CarriedReviews
from cases.store.cases import Cases
from cases.store.collections import Collections
from cases.store.collector import Collector
from cases.store.commitments import Commitments
from cases.store.consents import Consents
from cases.store.crc32s import Crc32s
from cases.store.crosswalk import Crosswalk
from cases.store.database import Database
from cases.store.errands import Errands
from cases.store.featured import Featured
from cases.store.generations import Generations
from cases.store.holds import Holds
from cases.store.intake import Intake
from cases.store.leases import Leases
from cases.store.looks import Looks
from cases.store.manifests import Manifests
from cases.store.moderation import Moderation
from cases.store.moves import Moves
from cases.store.originals import Originals
from cases.store.passwords import Passwords
from cases.store.patients import Patients
from cases.store.peer_books import PeerBooks
from cases.store.peer_rules import PeerRules
from cases.store.peers import Peers
from cases.store.playlists import Playlists
from cases.store.profiles import Profiles
from cases.store.receipts import Receipts
from cases.store.references import References
from cases.store.repeats import Repeats
from cases.store.reruns import Reruns
from cases.store.reviews import Reviews
from cases.store.shares import Shares
from cases.store.site_layouts import SiteLayouts

__all__ = [
    "Accounts",
    "Administrators",
    "Audit",
    "AuditReadings",
    "CarriedReviews",
    "Cases",
    "Collections",
    "Collector",
    "Commitments",
    "Consents",
    "Crc32s",
    "Crosswalk",
    "Database",
    "Errands",
    "Featured",
    "Generations",
    "Holds",
    "Intake",
    "Leases",
    "Looks",
    "Manifests",
    "Moderation",
    "Moves",
    "Originals",
    "Passwords",
    "Patients",
    "PeerBooks",
    "PeerRules",
    "Peers",
    "Playlists",
    "Profiles",
    "Receipts",
    "References",
    "Repeats",
    "Reruns",
    "Reviews",
    "Shares",
    "SiteLayouts",
]
