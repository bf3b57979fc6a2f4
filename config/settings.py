"""The settings of an installation: every one with its default, its check, its meaning and the mend of a wrong value."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from config import values

LOOPBACK = "127.0.0.1"
ALL_INTERFACES = "0.0.0.0"  # noqa: S104 - a PACS on another machine must reach the DICOM port; the banner says so
DATABASE_FILE = "casebridge.db"
SECONDS_PER_DAY = 86_400
SHIPPED_PROFILES = Path(__file__).parent / "profiles"

T = TypeVar("T")


def _checked(check: Callable[[str], str]) -> Callable[[SecretStr], SecretStr]:
    """Apply a check of text to a secret."""

    def apply(secret: SecretStr) -> SecretStr:
        return SecretStr(check(secret.get_secret_value()))

    return apply


def _setting(default: Any, meaning: str, mend: str, shown: str = "", **limits: float) -> Any:
    """Declare a setting: what it means, how to mend a wrong value, and its default in words where that is computed."""
    return Field(default, description=meaning, json_schema_extra={"mend": mend, "shown": shown}, **limits)  # type: ignore[call-overload]


AeTitle = Annotated[str, AfterValidator(values.ae_title)]
AeTitleOrAny = Annotated[str, AfterValidator(values.ae_title_or_any)]
Folder = Annotated[Path, AfterValidator(values.folder)]
ProfileName = Annotated[str, AfterValidator(values.plain_name)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Route(_Section):
    """What becomes of studies that reach one called AE title from one calling AE title; ``*`` stands for any.

    As written in the settings, ``profile``, ``quiet_period_s`` and ``max_settle_s`` may be missing;
    ``Settings.route_for`` fills them in.
    """

    calling_ae: AeTitleOrAny = values.ANY_AE_TITLE
    called_ae: AeTitleOrAny = values.ANY_AE_TITLE
    owner: str | None = Field(None, min_length=1)
    """The contributor who gets the drafts; without one they go to the inbox."""
    profile: ProfileName | None = None
    hospital: str = ""
    """Whose patient IDs these are: two hospitals may use one number for two people."""
    quiet_period_s: float | None = Field(None, ge=0, le=SECONDS_PER_DAY)
    max_settle_s: float | None = Field(None, ge=1, le=SECONDS_PER_DAY)

    @property
    def is_default(self) -> bool:
        """Whether this is the route of studies that no other route takes."""
        return self.calling_ae == self.called_ae == values.ANY_AE_TITLE

    def specificity(self) -> int:
        """Return how closely the route names its studies: both titles, the called one, the calling one, none."""
        return 2 * (self.called_ae != values.ANY_AE_TITLE) + (self.calling_ae != values.ANY_AE_TITLE)

    def takes(self, calling_ae: str, called_ae: str) -> bool:
        """Tell whether the route is meant for an association between these two AE titles."""
        return self.calling_ae in {values.ANY_AE_TITLE, calling_ae} and self.called_ae in {
            values.ANY_AE_TITLE,
            called_ae,
        }


class Commitment(_Section):
    """Where the storage commitment reports for a peer go; it is off for peers without this table."""

    host: Annotated[str, AfterValidator(values.host)]
    port: int = Field(ge=1, le=65535)
    ae_title: AeTitle | None = None
    """Whom a report is for; without one, the AE title that asked."""


class Peer(_Section):
    """An AE title that may send, and from where: the address ranges and the certificates that it may send with.

    No range means any address; no certificate means any connection, plain ones too.
    """

    calling_ae: AeTitleOrAny
    addresses: tuple[Annotated[str, AfterValidator(values.network)], ...] = ()
    certificates: tuple[Annotated[str, AfterValidator(values.certificate)], ...] = ()
    max_associations: int | None = Field(None, ge=1, le=1000)
    commitment: Commitment | None = None

    @model_validator(mode="after")
    def _is_a_restriction(self) -> Self:
        if self.calling_ae == values.ANY_AE_TITLE and not self.addresses and not self.certificates:
            raise ValueError("lets every AE title in from every address: name addresses, or say so with open = true")
        return self


class Settings(_Section):
    """Everything that an installation can choose. Paths are absolute; ``load_settings`` computes their defaults."""

    data_dir: Folder = _setting(
        Path(),
        "Folder for everything Casebridge keeps: database, spool, images, secret.",
        "give the path of a folder",
        "`$XDG_DATA_HOME/casebridge`, or `~/.local/share/casebridge`",
    )
    host: Annotated[str, AfterValidator(values.host)] | None = _setting(
        None,
        "Address that all ports bind. Unset: HTTP on 127.0.0.1, DICOM on 0.0.0.0.",
        "give one address of this machine, such as 192.168.1.20, or 0.0.0.0 for all",
        "unset",
    )
    dicom_port: int = _setting(11112, "TCP port for DICOM.", "give a port from 1 to 65535", ge=1, le=65535)
    dicom_plain: bool = _setting(
        True,
        "Whether `dicom_port` is listened on. `false` leaves DICOM over TLS alone.",
        "give true or false",
    )
    tls_port: int | None = _setting(
        None,
        "TCP port for DICOM over TLS; 2762 is registered for it. Unset: no TLS.",
        "give a port from 1 to 65535",
        "unset",
        ge=1,
        le=65535,
    )
    tls_certificate_file: Annotated[Path, AfterValidator(values.file)] | None = _setting(
        None,
        "Our certificate and those that lead to its CA (PEM). A changed file is taken up without a restart.",
        "give the path of a file",
        "unset",
    )
    tls_key_file: Annotated[Path, AfterValidator(values.file)] | None = _setting(
        None,
        "The certificate's key (PEM, without passphrase, mode 600 or 640).",
        "give the path of a file",
        "unset",
    )
    tls_client_ca_file: Annotated[Path, AfterValidator(values.file)] | None = _setting(
        None,
        "Certificates that clients' own are checked against (PEM); each is trusted as it stands.",
        "give the path of a file",
        "unset",
    )
    tls_client_certificates: Literal["off", "optional", "required"] = _setting(
        "off",
        "Whether TLS clients show a certificate: `off`, `optional`, `required`.",
        "give off, optional or required",
    )
    http_port: int = _setting(8000, "TCP port for HTTP.", "give a port from 1 to 65535", ge=1, le=65535)
    ae_title: AeTitle = _setting(
        "CASEBRIDGE",
        "AE title that PACSs send to (16 characters at most; no backslash).",
        "give 1 to 16 printable ASCII characters without backslash",
    )
    quiet_period_s: float = _setting(
        30,
        "Seconds without traffic after which a study has settled.",
        "give seconds from 0 to 86400",
        ge=0,
        le=SECONDS_PER_DAY,
    )
    max_settle_s: float = _setting(
        1800,
        "Seconds after which a study settles even if traffic goes on.",
        "give seconds from 1 to 86400, no fewer than quiet_period_s",
        ge=1,
        le=SECONDS_PER_DAY,
    )
    database_url: Annotated[str, AfterValidator(values.database_url)] = _setting(
        "",
        "`sqlite:///…` or `postgresql+psycopg://user:password@host/database`.",
        "write sqlite:///path/to/file.db or postgresql+psycopg://user:password@host/database",
        "`sqlite:///` and `casebridge.db` in the data folder",
    )
    blob_url: Annotated[str, AfterValidator(values.blob_url)] = _setting(
        "",
        "Where de-identified images go: `file:///folder` or `s3://bucket/prefix?endpoint=https://…`.",
        "write file:///absolute/folder or s3://bucket/prefix?endpoint=https://…",
        "`blobs` in the data folder",
    )
    spool_dir: Folder = _setting(
        Path(),
        "Folder for received originals; receiver and workers share it.",
        "give the path of a folder",
        "`spool` in the data folder",
    )
    admin_token: Annotated[SecretStr, AfterValidator(_checked(values.token))] | None = _setting(
        None,
        "Administrator token for unattended installs (32 characters at least).",
        "give 32 or more random characters, for example the output of: openssl rand -hex 32",
        "made on the first start, shown once",
    )
    secret_file: Annotated[Path, AfterValidator(values.file)] = _setting(
        Path(),
        "File of the installation secret, made on the first start. Back it up: nothing starts without it.",
        "give the path of a file",
        "`secret` in the data folder",
    )
    spool_key_file: Annotated[Path, AfterValidator(values.file)] | None = _setting(
        None,
        "File of the keys that seal originals at rest (`casebridge spool-key new` makes one). Unset: they lie plain.",
        "give the path of a file",
        "unset",
    )
    spool_key_command: Annotated[SecretStr, AfterValidator(_checked(values.command))] | None = _setting(
        None,
        "Command that prints those keys instead, run once by each process: for a key service or `systemd-creds`.",
        "give a program and its arguments, quoted as in a shell",
        "unset",
    )
    crosswalk_key_file: Annotated[Path, AfterValidator(values.file)] | None = _setting(
        None,
        "Public key to which it is sealed whose a case is (`casebridge crosswalk keygen` makes one). Unset: not kept.",
        "give the path of a file, or leave it unset: then no crosswalk is kept",
        "unset",
    )
    consent_key_file: Annotated[Path, AfterValidator(values.file)] | None = _setting(
        None,
        "Public key to which documents of consents are sealed (`casebridge consent keygen` makes one). Unset: none are "
        "kept.",
        "give the path of a file, or leave it unset: then no documents of consents are kept",
        "unset",
    )
    open: bool = _setting(
        False,
        "Any peer may send, whatever its AE title and address. For trials only.",
        "give true or false",
    )
    retention_days: int = _setting(
        7,
        "Days after arrival at which an original is deleted.",
        "give days from 0 to 365",
        ge=0,
        le=365,
    )
    hold_reminder_days: int = _setting(
        14,
        "Days after which an undecided hold is brought up again.",
        "give days from 1 to 365, no more than hold_retention_days",
        ge=1,
        le=365,
    )
    hold_retention_days: int = _setting(
        30,
        "Days after which the original of an undecided hold is deleted. It is never released.",
        "give days from 1 to 365",
        ge=1,
        le=365,
    )
    commitment_days: int = _setting(
        30,
        "Days for which an original stays once storage commitment was promised; no fewer than retention_days count.",
        "give days from 1 to 3650",
        ge=1,
        le=3650,
    )
    disk_reserve_mb: int = _setting(
        1024,
        "Megabytes that stay free on the spool's disk: below it, senders hear Out of Resources.",
        "give megabytes from 16 upwards",
        ge=16,
    )
    max_associations: int = _setting(
        64,
        "Associations served at once; more are rejected for now and may try again.",
        "give a number from 1 to 1000",
        ge=1,
        le=1000,
    )
    max_associations_per_peer: int | None = _setting(
        None,
        "Associations served at once from one address, so that no peer can take all places; a peer's own rule goes "
        "before it.",
        "give a number from 1 to 1000",
        "a quarter of `max_associations`; from loopback all",
        ge=1,
        le=1000,
    )
    receiver_processes: int = _setting(
        # macOS has no sockets that hand connections over with their boundaries kept.
        min(os.cpu_count() or 1, 4) if sys.platform == "linux" else 1,
        "Processes that receive, behind one port.",
        "give a number from 1 to 64; 1 on macOS",
        "number of CPUs, 4 at most; 1 on macOS",
        ge=1,
        le=64,
    )
    max_object_mb: int = _setting(
        4096,
        "Megabytes that one object may have.",
        "give megabytes from 1 to 1048576",
        ge=1,
        le=1_048_576,
    )
    max_study_mb: int = _setting(
        65_536,
        "Megabytes that one study may have; what goes beyond is refused with Out of Resources.",
        "give megabytes from 1 to 16777216",
        ge=1,
        le=16_777_216,
    )
    study_processes: int = _setting(
        os.cpu_count() or 1,
        "Child processes in which one worker de-identifies and reads pixels.",
        "give a number from 1 to 256",
        "number of CPUs",
        ge=1,
        le=256,
    )
    worker_id: Annotated[str, AfterValidator(values.plain_name)] = _setting(
        values.default_worker_id(),
        "Name of this worker: unique in the installation, the same after a restart.",
        "give a name of 1 to 63 letters, digits, dots, dashes and underscores",
        "host name and `-w1`",
    )
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"],
        BeforeValidator(lambda value: value.upper() if isinstance(value, str) else value),
    ] = _setting("INFO", "Least weight of what is logged.", "give DEBUG, INFO, WARNING or ERROR")
    http_calls_per_minute: int = _setting(
        3000,
        "Calls that one token may make in a minute, pictures and downloads aside; more answer 429. 0: any number.",
        "give a number from 0 to 1000000",
        ge=0,
        le=1_000_000,
    )
    http_pictures_per_minute: int = _setting(
        12_000,
        "Pictures that one token, or one address without a token, may fetch in a minute. 0: any number.",
        "give a number from 0 to 1000000",
        ge=0,
        le=1_000_000,
    )
    http_downloads_per_minute: int = _setting(
        60,
        "Downloads of cases, and parts of them, that one token may begin in a minute. 0: any number.",
        "give a number from 0 to 1000000",
        ge=0,
        le=1_000_000,
    )
    http_anonymous_per_minute: int = _setting(
        600,
        "Calls without a token that one address may make in a minute; those for monitoring are free. 0: any number.",
        "give a number from 0 to 1000000",
        ge=0,
        le=1_000_000,
    )
    http_wrong_tokens_per_minute: int = _setting(
        30,
        "Calls with a wrong token that are told so, by address and minute; more answer 429. 0: any number.",
        "give a number from 0 to 1000000",
        ge=0,
        le=1_000_000,
    )
    draft_limit: int = _setting(
        10,
        "Open drafts a contributor may have; further studies wait.",
        "give a number from 1 to 1000",
        ge=1,
        le=1000,
    )
    profile: ProfileName = _setting(
        "teaching",
        "De-identification profile of studies whose route names none.",
        "give the name of a profile file without .yaml",
    )
    profiles_dir: Annotated[Path, AfterValidator(values.existing_folder)] | None = _setting(
        None,
        "Folder of the site's own profiles; one of the same name goes before ours.",
        "give the path of a folder that exists",
        "unset",
    )
    routes: tuple[Route, ...] = _setting(
        (),
        "Who gets what is sent from and to which AE title; see below.",
        "write [[routes]] tables with calling_ae, called_ae, owner, profile, hospital, quiet_period_s, max_settle_s",
        "none",
    )
    peers: tuple[Peer, ...] = _setting(
        (),
        "Who may send; loopback always may; see below.",
        "write [[peers]] tables with calling_ae, addresses, certificates, max_associations, commitment",
        "none",
    )

    @property
    def http_host(self) -> str:
        """The address that HTTP binds."""
        return self.host or LOOPBACK

    @property
    def dicom_host(self) -> str:
        """The address that DICOM binds."""
        return self.host or ALL_INTERFACES

    @property
    def called_ae_titles(self) -> tuple[str, ...]:
        """Every AE title that we answer to, our own first."""
        named = (route.called_ae for route in self.routes if route.called_ae != values.ANY_AE_TITLE)
        return tuple(dict.fromkeys((self.ae_title, *named)))

    @property
    def commitment_keep_days(self) -> int:
        """For how long a promise of storage commitment holds: never shorter than any original is kept."""
        return max(self.commitment_days, self.retention_days)

    def route_for(self, calling_ae: str, called_ae: str) -> Route:
        """Return the most specific route of an association, with profile, quiet period and longest wait filled in.

        A route that names both AE titles goes before one that names the called, that before one that names the calling.
        """
        calling, called = calling_ae.strip(" "), called_ae.strip(" ")
        taking = [route for route in self.routes if route.takes(calling, called)]
        route = max(taking, key=Route.specificity, default=Route())
        quiet_period_s = self.quiet_period_s if route.quiet_period_s is None else route.quiet_period_s
        max_settle_s = self.max_settle_s if route.max_settle_s is None else route.max_settle_s
        filled = {"profile": route.profile or self.profile, "quiet_period_s": quiet_period_s}
        return route.model_copy(update=filled | {"max_settle_s": max_settle_s})

    def __repr_args__(self) -> Any:
        """Yield the fields as they may be shown: without password, without token."""
        for name, value in super().__repr_args__():
            yield name, values.without_password(value) if name in {"database_url", "blob_url"} else value
