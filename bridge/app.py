"""Hand-written wiring: from settings to the rooms' objects."""

import errno
import socket
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.keys import KEY_MARK, SPOOL_RECORD, Keys, SecretError, check_folder, create_secret, load_keys
from config.settings import Peer, Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

    from cases.store import Database
    from scp.acceptor import Acceptor
    from scp.peers import PeerRule
    from scp.server import Receiver, ReceiverSettings
    from scp.spool import Spool
    from scp.tls import TlsSettings

MEGABYTE = 1_000_000


def prepare_folders(settings: Settings) -> None:
    """Create what a first start needs on disk: data folder, secret, spool."""
    if settings.crosswalk_key_file is not None:
        from bridge.crosswalk import load_crosswalk_key  # noqa: PLC0415

        load_crosswalk_key(settings.crosswalk_key_file)
    if settings.consent_key_file is not None:
        from bridge.consent import load_consent_key  # noqa: PLC0415

        load_consent_key(settings.consent_key_file, settings.crosswalk_key_file)
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    ensure_secret(settings)
    if not (settings.spool_dir / KEY_MARK).exists() and _has_tables(settings):
        # A database that came back from its backup knows its secret; a new spool would be marked with any.
        with open_database(settings) as database:
            check_secret(settings, database)
    open_spool(settings).prepare()


def ensure_secret(settings: Settings) -> None:
    """Create the secret of a new installation.

    Raises
    ------
    SecretError
        When it may be none: a secret of its own would give every patient in it a second identity.
    """
    if settings.secret_file.exists():
        return
    used = (settings.data_dir / SPOOL_RECORD, settings.spool_dir / KEY_MARK)
    if any(path.exists() for path in used) or _has_tables(settings):
        raise SecretError(
            f"the secret file {settings.secret_file} is missing, but this installation was in use; restore the file "
            "from its backup, or copy it from another host"
        )
    create_secret(settings.secret_file)


def has_database(settings: Settings) -> bool:
    """Say whether a database was in use; a new one on this machine has no file, and nothing is imported to ask it.

    Raises
    ------
    StoreUnavailableError
        When it cannot be asked.
    """
    prefix = "sqlite:///"
    if settings.database_url.startswith(prefix) and not Path(settings.database_url.removeprefix(prefix)).exists():
        return False
    from cases.store import Database  # noqa: PLC0415

    database = Database.open(settings.database_url)
    try:
        return database.is_in_use()
    finally:
        database.close()


def _has_tables(settings: Settings) -> bool:
    from cases.errors import StoreUnavailableError  # noqa: PLC0415

    try:
        return has_database(settings)
    except StoreUnavailableError:
        raise SecretError(
            "the database cannot be asked whether this installation is new, and which secret it knows; start the "
            "database, and look at CASEBRIDGE_DATABASE_URL"
        ) from None


def prepare(settings: Settings) -> str | None:
    """Create what a first start needs: folders, secret, database, administrator.

    Returns
    -------
    str or None
        The administrator's token in plain when it was just made, never again.
    """
    prepare_folders(settings)
    with open_database(settings) as database:
        check_secret(settings, database)
        return ensure_administrator(settings, database)


def ensure_administrator(settings: Settings, database: "Database") -> str | None:
    """Create the administrator where there is none; see ``prepare``."""
    from cases.store import Administrators  # noqa: PLC0415

    given = settings.admin_token.get_secret_value() if settings.admin_token else None
    with database.write() as session:
        return Administrators(session).ensure(given)


def check_ports(settings: Settings) -> None:
    """Find out before anything starts whether the ports can be had.

    Raises
    ------
    OSError
        With a sentence that names the setting.
    """
    wanted = [("HTTP_PORT", settings.http_host, settings.http_port)]
    if settings.dicom_plain:
        wanted.insert(0, ("DICOM_PORT", settings.dicom_host, settings.dicom_port))
    if settings.tls_port is not None:
        wanted.append(("TLS_PORT", settings.dicom_host, settings.tls_port))
    for name, host, port in wanted:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                why = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be had ({error.strerror})"
                raise OSError(error.errno, f"port {port} on {host} {why}; free it or set CASEBRIDGE_{name}") from None


def keys_of(settings: Settings) -> Keys:
    """Load the installation's keys."""
    return load_keys(settings.secret_file)


def check_secret(settings: Settings, database: "Database") -> None:
    """Refuse another secret than the one that this database's pseudonyms were made with; see ``check_generations``."""
    from bridge.generations import check_generations  # noqa: PLC0415

    check_generations(keys_of(settings), database, settings.secret_file)


def open_spool(settings: Settings) -> "Spool":
    """Return the spool of these settings; its folders are made by ``prepare``."""
    from bridge.spool_keys import check_spool_keys, load_spool_keys  # noqa: PLC0415
    from scp.spool import Spool  # noqa: PLC0415

    keys, spool_keys = keys_of(settings), load_spool_keys(settings)
    check_folder(settings.spool_dir, keys, record=settings.data_dir / SPOOL_RECORD)
    check_spool_keys(settings.spool_dir, spool_keys)
    return Spool(
        settings.spool_dir,
        name_key=keys.name_key,
        reserve_bytes=settings.disk_reserve_mb * MEGABYTE,
        max_object_bytes=settings.max_object_mb * MEGABYTE,
        max_study_bytes=settings.max_study_mb * MEGABYTE,
        keys=spool_keys,
    )


def issue_token(
    settings: Settings, *, user: str, role: str, label: str, scopes: Collection[str], expires_at: datetime | None
) -> str:
    """Issue a token for a user, who is created where absent; return it in plain.

    Raises
    ------
    InvalidChangeError
        When the user's role does not include a scope.
    """
    from api.authorization import named, scopes_of  # noqa: PLC0415
    from cases.errors import InvalidChangeError  # noqa: PLC0415
    from cases.store import Accounts, Audit  # noqa: PLC0415
    from cases.users import Role, Scope  # noqa: PLC0415

    with open_database(settings) as database, database.write() as session:
        accounts = Accounts(session)
        found = accounts.user_named(user)
        if found is None:
            found = accounts.create_user(user, Role(role), draft_limit=settings.draft_limit)
            Audit(session).append("command-line", "user.create", found.id, {"role": found.role.value})
        of_role = scopes_of(found.role)
        granted = frozenset(map(Scope, scopes)) or of_role
        if beyond := granted - of_role:
            raise InvalidChangeError(
                f"the role of the account does not include the scope {named(beyond)}: leave it out"
            )
        Audit(session).append("command-line", "token.issue", found.id, {"scopes": named(granted)})
        return accounts.issue_token(found.id, label, expires_at, granted)


@contextmanager
def open_database(settings: Settings) -> Iterator["Database"]:
    """Open the database, brought up to date."""
    from cases.store import Database  # noqa: PLC0415

    database = Database.open(settings.database_url)
    try:
        database.migrate()
        yield database
    finally:
        database.close()


def _peer_rule(peer: Peer) -> "PeerRule":
    from scp.peers import CommitmentRule, PeerRule  # noqa: PLC0415

    to = peer.commitment
    return PeerRule(
        calling_ae=peer.calling_ae,
        addresses=peer.addresses,
        certificates=peer.certificates,
        max_associations=peer.max_associations,
        commitment=CommitmentRule(host=to.host, port=to.port, ae_title=to.ae_title or "") if to else None,
    )


@contextmanager
def open_receiver(settings: Settings) -> Iterator["Receiver"]:
    """Open spool and port and accept associations in this process."""
    from scp.server import Receiver  # noqa: PLC0415

    with Receiver(_receiver_settings(settings), _spool_of_receiver(settings)) as receiver:
        yield receiver


def open_acceptor(settings: Settings, *, inherited: Sequence[int]) -> "Acceptor":
    """Open the spool and return what accepts associations for several processes."""
    from scp.acceptor import Acceptor  # noqa: PLC0415

    return Acceptor(
        _receiver_settings(settings),
        _spool_of_receiver(settings),
        processes=settings.receiver_processes,
        inherited=inherited,
    )


def _receiver_settings(settings: Settings) -> "ReceiverSettings":
    from scp.server import ReceiverSettings  # noqa: PLC0415

    return ReceiverSettings(
        ae_title=settings.ae_title,
        host=settings.dicom_host,
        port=settings.dicom_port,
        is_plain=settings.dicom_plain,
        tls=_tls_settings(settings),
        max_associations=settings.max_associations,
        max_associations_per_peer=settings.max_associations_per_peer,
    )


def _tls_settings(settings: Settings) -> "TlsSettings | None":
    if settings.tls_port is None or settings.tls_certificate_file is None or settings.tls_key_file is None:
        return None
    from scp.tls import ClientCertificates, TlsSettings  # noqa: PLC0415

    return TlsSettings(
        port=settings.tls_port,
        certificate_file=settings.tls_certificate_file,
        key_file=settings.tls_key_file,
        client_ca_file=settings.tls_client_ca_file,
        client_certificates=ClientCertificates(settings.tls_client_certificates),
    )


def check_tls(settings: Settings) -> None:
    """Find out before anything starts whether the files of TLS can be used.

    Raises
    ------
    SecretError
        With a sentence that names the file and the mend.
    """
    if (tls := _tls_settings(settings)) is None:
        return
    from scp.errors import TlsFilesError  # noqa: PLC0415
    from scp.tls import ServerCertificate  # noqa: PLC0415

    try:
        ServerCertificate(tls)
    except TlsFilesError as error:
        raise SecretError(f"TLS: {error.comment}") from None


def check_profiles(settings: Settings) -> None:
    """Find out before anything starts whether the site's own profiles can be used; those that we ship can.

    Raises
    ------
    SecretError
        With every fault and its line.
    """
    names = dict.fromkeys([settings.profile, *(route.profile for route in settings.routes if route.profile)])
    own = [name for name in names if settings.profiles_dir and (settings.profiles_dir / f"{name}.yaml").is_file()]
    if not own:
        return
    from config.profile_files import profile_text  # noqa: PLC0415
    from deidentify.errors import ProfileError  # noqa: PLC0415
    from deidentify.profile import Profile  # noqa: PLC0415

    for name in own:
        try:
            Profile.from_yaml(profile_text(name, settings))
        except ProfileError as error:
            raise SecretError(f"the profile {settings.profiles_dir}/{name}.yaml is wrong: {error}") from None


def _spool_of_receiver(settings: Settings) -> "Spool":
    """Open the spool and write the peer rules of the settings into it."""
    from scp.peers import PeerRules, write_peer_rules  # noqa: PLC0415

    ensure_secret(settings)
    spool = open_spool(settings)
    spool.prepare()
    rules = PeerRules(
        rules=tuple(_peer_rule(peer) for peer in settings.peers),
        is_open=settings.open,
        called_aes=settings.called_ae_titles,
    )
    write_peer_rules(spool.peer_rules_path, rules)
    return spool


def build_api(settings: Settings, database: "Database", *, version: str) -> "FastAPI":
    """Build the HTTP application on the database and the blobs."""
    from api.app import create_app  # noqa: PLC0415
    from api.limits import CallBudgets  # noqa: PLC0415
    from bridge.consent import load_consent_key  # noqa: PLC0415
    from bridge.engine import EngineClient  # noqa: PLC0415
    from bridge.file_preview import Previews  # noqa: PLC0415
    from bridge.health import BridgeMetrics, BridgeReadiness  # noqa: PLC0415
    from bridge.hold_desk import HoldDesk, PicturesOnDemand  # noqa: PLC0415
    from bridge.impact_desk import ImpactDesk  # noqa: PLC0415
    from bridge.move_desk import MoveDesk  # noqa: PLC0415
    from bridge.peers import BridgePeers  # noqa: PLC0415
    from bridge.profile_desk import BridgeProfiles  # noqa: PLC0415
    from bridge.receipt_marks import SpoolMarks  # noqa: PLC0415
    from bridge.rerun_desk import RerunDesk  # noqa: PLC0415
    from bridge.text_keys import TextKeys  # noqa: PLC0415
    from cases.blobs import open_blobs  # noqa: PLC0415
    from deidentify.text_screen import KeyedTextScreen  # noqa: PLC0415

    blobs = open_blobs(settings.blob_url)
    spool = open_spool(settings)
    client = EngineClient(engine=database.engine)
    peers = BridgePeers(database=database, spool=spool, own_ae=settings.ae_title)
    return create_app(
        database=database,
        blobs=blobs,
        readiness=BridgeReadiness(
            database=database,
            blobs=blobs,
            spool=spool,
            peers=peers,
            tls_certificate_file=settings.tls_certificate_file,
        ),
        peers=peers,
        reruns=RerunDesk(database=database, client=client, settings=settings),
        moves=MoveDesk(database=database, client=client),
        profiles=BridgeProfiles(settings, database),
        marks=SpoolMarks(spool=spool),
        previews=Previews(database=database, spool=spool, client=client, settings=settings),
        impacts=ImpactDesk(database=database, client=client, settings=settings),
        decisions=HoldDesk(database=database, spool=spool, client=client, pictures=PicturesOnDemand(settings)),
        consent_seal=load_consent_key(settings.consent_key_file),
        text_screen=KeyedTextScreen(TextKeys(settings.secret_file).of),
        metrics=BridgeMetrics(
            database=database,
            spool=spool,
            client=client,
            peers=peers,
            tls_certificate_file=settings.tls_certificate_file,
        ),
        version=version,
        hold_retention_days=settings.hold_retention_days,
        budgets=CallBudgets(
            calls=settings.http_calls_per_minute,
            pictures=settings.http_pictures_per_minute,
            downloads=settings.http_downloads_per_minute,
            anonymous=settings.http_anonymous_per_minute,
            wrong_tokens=settings.http_wrong_tokens_per_minute,
        ),
    )
