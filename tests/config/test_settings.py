import ipaddress
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from config import ConfigError, Route, Settings, load_settings, profile_text
from tests.tools import CHECKOUT

Load = Callable[..., Settings]
PASSWORD = "pass-word-that-nobody-may-see"
FILES = ("tls_certificate_file = 'c'\n", "tls_key_file = 'k'\n")
TLS = "".join(FILES)
TOKEN = "token-that-nobody-may-see-0123456789"


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load settings from variables (without prefix) and the text of a file."""

    def run(file: str | None = None, /, **variables: str) -> Settings:
        environ = {"HOME": str(tmp_path), **{f"CASEBRIDGE_{name}": value for name, value in variables.items()}}
        path = None
        if file is not None:
            path = tmp_path / "given.toml"
            path.write_text(file)
        return load_settings(environ, path)

    return run


def faults(load: Load, file: str | None = None, /, **variables: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load(file, **variables)
    return caught.value.faults


def test_nothing_needs_to_be_set(load: Load, tmp_path: Path) -> None:
    settings = load()
    data = tmp_path / ".local/share/casebridge"
    assert settings.data_dir == data
    assert settings.spool_dir == data / "spool"
    assert settings.secret_file == data / "secret"
    assert settings.database_url == f"sqlite:///{data}/casebridge.db"
    assert settings.blob_url == f"file://{data}/blobs"
    assert (settings.dicom_port, settings.http_port, settings.ae_title) == (11112, 8000, "CASEBRIDGE")
    assert settings.admin_token is None
    assert not settings.open
    assert not data.exists(), "reading settings makes no folder"


def test_the_shared_data_folder_of_the_desktop_standard_is_used(tmp_path: Path) -> None:
    settings = load_settings({"HOME": "/nowhere", "XDG_DATA_HOME": str(tmp_path)})
    assert settings.data_dir == tmp_path / "casebridge"


def test_http_is_on_loopback_and_dicom_on_all_interfaces_unless_a_host_is_set(load: Load) -> None:
    assert (load().http_host, load().dicom_host) == ("127.0.0.1", "0.0.0.0")
    settings = load(HOST="192.0.2.7")
    assert (settings.http_host, settings.dicom_host) == ("192.0.2.7", "192.0.2.7")


def test_the_environment_goes_before_the_file(load: Load) -> None:
    settings = load("http_port = 9001\ndicom_port = 9002\n", HTTP_PORT="9003")
    assert (settings.http_port, settings.dicom_port) == (9003, 9002)


def test_an_empty_variable_sets_nothing(load: Load) -> None:
    assert load("http_port = 9001\n", HTTP_PORT="", ADMIN_TOKEN="").http_port == 9001


def test_the_file_in_the_data_folder_is_found(tmp_path: Path) -> None:
    (tmp_path / "casebridge.toml").write_text("draft_limit = 3\n")
    assert load_settings({"CASEBRIDGE_DATA_DIR": str(tmp_path)}).draft_limit == 3


def test_a_file_can_be_named_by_variable_and_the_command_line_goes_before_it(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("draft_limit = 3\n")
    (tmp_path / "b.toml").write_text("draft_limit = 4\n")
    environ = {"HOME": str(tmp_path), "CASEBRIDGE_CONFIG_FILE": str(tmp_path / "a.toml")}
    assert load_settings(environ).draft_limit == 3
    assert load_settings(environ, tmp_path / "b.toml").draft_limit == 4


def test_every_fault_is_told_at_once(load: Load) -> None:
    told = faults(load, "dicom_port = 99999\nquiet = 3\n", HTTP_PORT="eighty", AE_TITLE="A\\B", OPEN="perhaps")
    assert len(told) == 5


@pytest.mark.parametrize(
    ("variable", "value", "wanted"),
    [
        ("HTTP_PORT", "eighty", "CASEBRIDGE_HTTP_PORT: 'eighty' is not a whole number; give a port from 1 to 65535."),
        ("DICOM_PORT", "0", "CASEBRIDGE_DICOM_PORT: '0' is less than 1; give a port from 1 to 65535."),
        ("QUIET_PERIOD_S", "-1", "is less than 0; give seconds from 0 to 86400."),
        ("MAX_OBJECT_MB", "2000000", "is more than 1048576; give megabytes from 1 to 1048576."),
        ("QUIET_PERIOD_S", "soon", "is not a number; give seconds"),
        ("OPEN", "perhaps", "is neither true nor false; give true or false."),
        ("AE_TITLE", "SEVENTEEN_LETTERS", "has 17 characters, and an AE title has at most 16; give 1 to 16"),
        ("AE_TITLE", "A\\B", "holds a backslash"),
        ("AE_TITLE", "   ", "is blank"),
        ("AE_TITLE", "CASE\tBRIDGE", "not printable ASCII"),
        ("AE_TITLE", "FÄLLE", "not printable ASCII"),
        ("HOST", "not a host", "is neither an IP address nor a host name; give one address"),
        ("HOST", "300.1.1.1", "is neither an IP address nor a host name"),
        ("LOG_LEVEL", "loud", "is no such choice; give DEBUG, INFO, WARNING or ERROR."),
        ("WORKER_ID", "a/b", "give a name of 1 to 63 letters"),
        ("PROFILE", "../secret", "is not a name"),
        ("PROFILE", "unheard-of", "there is no profile 'unheard-of'; name one of: "),
        ("PROFILES_DIR", "/nowhere/at/all", "does not exist; give the path of a folder that exists."),
        ("DATABASE_URL", "sqlite://", "names no file"),
        ("DATABASE_URL", "sqlite:///:memory:", "in memory cannot be shared"),
        ("DATABASE_URL", "postgresql+psycopg://host:port/db", "is not a URL that can be read"),
        ("DATABASE_URL", "postgresql+psycopg://host", "names no database"),
        ("BLOB_URL", "http://store", "is neither a folder nor an S3 bucket; write file:///absolute/folder or s3://"),
        ("BLOB_URL", "file://folder", "names no folder by an absolute path"),
        ("BLOB_URL", "s3:///prefix", "does not begin with the name of a bucket"),
        (
            "ADMIN_TOKEN",
            "short",
            "has 5 characters, and fewer than 32 can be guessed; give 32 or more random characters",
        ),
        ("ADMIN_TOKEN", "with a space " * 4, "holds a space"),
        ("DATA_DIR", "/dev/null", "is a file, not a folder; give the path of a folder."),
        ("SECRET_FILE", "/", "is a folder, not a file"),
        ("HTTP_PORT", "11112", "is the DICOM port as well; give the two services two ports."),
        ("MAX_SETTLE_S", "5", "quiet_period_s: is longer than max_settle_s (5)"),
        ("HOLD_REMINDER_DAYS", "31", "comes after hold_retention_days (30)"),
        ("HTTP_PROT", "1", "CASEBRIDGE_HTTP_PROT: there is no such setting; did you mean CASEBRIDGE_HTTP_PORT?"),
        ("http_port", "1", "did you mean CASEBRIDGE_HTTP_PORT?"),
        ("ZZZZ", "1", "there is no such setting; take it out"),
        ("ROUTES", "[", "CASEBRIDGE_ROUTES: is not JSON (character 1); write a list of objects"),
        ("ROUTES", "{}", "CASEBRIDGE_ROUTES: is of the wrong kind; write [[routes]] tables"),
    ],
)
def test_a_wrong_value_names_its_setting_its_fault_and_the_mend(
    load: Load, variable: str, value: str, wanted: str
) -> None:
    told = faults(load, **{variable: value})
    assert len(told) == 1
    assert wanted in told[0]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("http_prt = 1\n", "given.toml): there is no such setting; did you mean http_port?"),
        ("http_port = 'x'\n", "given.toml): 'x' is not a whole number"),
        ("[[routes]]\ncaling_ae = 'A'\n", "table 1: caling_ae is no key of this table; did you mean calling_ae?"),
        ("[[routes]]\n[[routes]]\ncalling_ae = ''\n", "table 2 calling_ae: '' is blank; write [[routes]] tables"),
        ("[[routes]]\nowner = ''\n", "table 1 owner: '' is empty"),
        ("[[routes]]\n[[routes]]\n", "table 2: has the two AE titles of an earlier one; merge them."),
        ("[[routes]]\nprofile = 'unheard-of'\n", "routes (in "),
        ("[[peers]]\naddresses = ['10.0.0.0/8']\n", "table 1 calling_ae: is missing; write [[peers]] tables"),
        ("[[peers]]\ncalling_ae = 'A'\naddresses = ['ten']\n", "'ten' is neither an IP address nor a range"),
        ("[[peers]]\ncalling_ae = '*'\n", "say so with open = true"),
        ("http_port 1\n", "is not TOML"),
        ("dicom_plain = false\n", "leaves no port for DICOM; set tls_port = 2762"),
        ("tls_key_file = 'k'\n", "tls_key_file (in "),
        ("tls_client_certificates = 'maybe'\n", "'maybe' is no such choice; give off, optional or required"),
        (f"{TLS}tls_port = 11112\n", "is another service's port as well"),
        (f"tls_port = 2762\n{FILES[0]}", "tls_port (in "),
        (f"{TLS}tls_port = 2762\ntls_client_certificates = 'required'\n", "needs tls_client_ca_file to check them"),
        (f"{TLS}tls_port = 2762\ntls_client_ca_file = 'ca'\n", "is not used; set tls_client_certificates"),
        ("[[peers]]\ncalling_ae = 'A'\ncertificates = ['*.b']\n", "'*.b' is neither a fingerprint"),
        ("[[peers]]\ncalling_ae = 'A'\ncertificates = ['sha256:12']\n", "is no SHA-256 fingerprint"),
        ("[[peers]]\ncalling_ae = 'A'\ncertificates = ['b']\n", "table 1 certificates: could never be shown"),
        ("[[peers]]\ncalling_ae = 'A'\nmax_associations = 0\n", "table 1 max_associations: 0 is less than 1"),
        ("[[peers]]\ncalling_ae = 'A'\ncommitment = {host = 'b'}\n", "table 1 commitment: is missing"),
        ("[[peers]]\ncalling_ae = 'A'\ncommitment = {host = 'b', port = 0}\n", "table 1 commitment: 0 is less than 1"),
    ],
)
def test_a_fault_in_the_file_names_the_file(load: Load, text: str, wanted: str) -> None:
    told = faults(load, text)
    assert len(told) == 1
    assert wanted in told[0]
    assert "given.toml" in told[0]


def test_a_settings_file_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist; name one that does"):
        load_settings({"HOME": str(tmp_path)}, tmp_path / "none.toml")


def test_a_settings_file_that_is_not_text_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_settings({"HOME": str(tmp_path)}, tmp_path / "bytes.toml")


def test_settings_cannot_be_changed(load: Load) -> None:
    with pytest.raises(ValidationError):
        load().open = True  # type: ignore[misc]


@pytest.mark.parametrize(
    "variables",
    [
        {"DATABASE_URL": f"postgresql+psycopg://casebridge:{PASSWORD}@db/casebridge", "ADMIN_TOKEN": TOKEN},
        {"BLOB_URL": f"s3://bucket/prefix?secret={PASSWORD}"},
    ],
)
def test_what_is_secret_is_shown_nowhere(load: Load, variables: dict[str, str]) -> None:
    settings = load(**variables)
    for shown in (repr(settings), str(settings), f"{settings}"):
        assert PASSWORD not in shown
        assert TOKEN not in shown
    if settings.admin_token:
        assert settings.admin_token.get_secret_value() == TOKEN
        assert "casebridge:***@db/casebridge" in repr(settings)


@pytest.mark.parametrize(
    "variables",
    [
        {"DATABASE_URL": f"postgres://casebridge:{PASSWORD}@db/casebridge"},
        {"DATABASE_URL": f"postgresql+psycopg://casebridge:{PASSWORD}@db:x/casebridge"},
        {"BLOB_URL": f"http://key:{PASSWORD}@store"},
        {"BLOB_URL": f"s3://key:{PASSWORD}@store/x"},
        {"ADMIN_TOKEN": PASSWORD},
    ],
)
def test_a_secret_stands_in_no_complaint(load: Load, variables: dict[str, str]) -> None:
    assert PASSWORD not in "".join(faults(load, **variables))


ROUTES = """
ae_title = "TEACH"
quiet_period_s = 20
[[routes]]
owner = "nobody-else"
[[routes]]
calling_ae = "PACS"
owner = "by-calling"
[[routes]]
called_ae = "NEURO"
owner = "by-called"
quiet_period_s = 60
max_settle_s = 600
[[routes]]
calling_ae = "PACS"
called_ae = "NEURO"
owner = "by-both"
hospital = "north"
"""


@pytest.mark.parametrize(
    ("calling_ae", "called_ae", "owner", "waits"),
    [
        ("PACS", "NEURO", "by-both", (20, 1800)),
        ("OTHER", "NEURO", "by-called", (60, 600)),
        ("PACS", "TEACH", "by-calling", (20, 1800)),
        ("OTHER", "TEACH", "nobody-else", (20, 1800)),
        ("PACS            ", " NEURO", "by-both", (20, 1800)),
    ],
)
def test_the_most_specific_route_wins(
    load: Load, calling_ae: str, called_ae: str, owner: str, waits: tuple[float, float]
) -> None:
    route = load(ROUTES).route_for(calling_ae, called_ae)
    assert (route.owner, (route.quiet_period_s, route.max_settle_s), route.profile) == (owner, waits, "teaching")


@pytest.mark.parametrize(
    "waits", ['"quiet_period_s": 2000', '"max_settle_s": 20', '"quiet_period_s":9,"max_settle_s":8']
)
def test_a_route_that_would_never_be_quiet_is_refused(load: Load, waits: str) -> None:
    [fault] = faults(load, ROUTES=f'[{{"called_ae": "A"}}, {{"called_ae": "B", {waits}}}]')
    assert fault.startswith("CASEBRIDGE_ROUTES, table 2: its quiet_period_s (")
    assert "would ever be quiet; make it shorter" in fault


def test_without_a_route_a_study_goes_to_the_inbox_under_the_default_profile(load: Load) -> None:
    route = load().route_for("PACS", "CASEBRIDGE")
    assert route == Route(profile="teaching", quiet_period_s=30, max_settle_s=1800)
    assert route.owner is None
    assert route.is_default


def test_we_answer_to_our_own_title_and_to_those_of_the_routes(load: Load) -> None:
    assert load(ROUTES).called_ae_titles == ("TEACH", "NEURO")


def test_tables_may_come_from_the_environment_as_json(load: Load) -> None:
    settings = load(PEERS='[{"calling_ae": "PACS", "addresses": ["10.1.2.3", "2001:db8::/32", "10.1.2.9/24"]}]')
    assert settings.peers[0].addresses == ("10.1.2.3/32", "2001:db8::/32", "10.1.2.0/24")


def test_tls_and_its_peers_are_taken_as_they_are_meant(load: Load) -> None:
    fingerprint = ":".join(["AB"] * 32)
    settings = load(
        f"{TLS}tls_port = 2762\ndicom_plain = false\ntls_client_certificates = 'required'\ntls_client_ca_file = 'ca'\n"
        f"[[peers]]\ncalling_ae = '*'\ncertificates = ['sha256:{fingerprint} CT One', ' pacs.example ']\n"
        "[[peers]]\ncalling_ae = 'CT'\nmax_associations = 2\ncommitment = {host = '10.1.1.1', port = 104}\n"
    )

    assert settings.tls_port == 2762
    assert settings.tls_certificate_file == Path("c").absolute()
    assert settings.peers[0].certificates == ("sha256:" + "ab" * 32, "pacs.example")
    assert settings.peers[1].max_associations == 2
    assert settings.peers[1].commitment is not None
    assert (settings.peers[1].commitment.host, settings.peers[1].commitment.ae_title) == ("10.1.1.1", None)


def test_a_shipped_profile_is_found_and_a_site_profile_goes_before_it(load: Load, tmp_path: Path) -> None:
    assert profile_text("teaching", load()).strip()
    site = tmp_path / "profiles"
    site.mkdir()
    (site / "teaching.yaml").write_text("of the site\n")
    (site / "research.yaml").write_text("of its own\n")
    settings = load(PROFILES_DIR=str(site), PROFILE="research")
    assert profile_text("teaching", settings) == "of the site\n"
    assert profile_text("research", settings) == "of its own\n"


def test_a_profile_that_is_not_there_or_no_text_is_a_fault(load: Load, tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_bytes(b"\xff\xfe")
    settings = load(PROFILES_DIR=str(tmp_path))
    with pytest.raises(ConfigError, match="there is no profile 'absent'"):
        profile_text("absent", settings)
    with pytest.raises(ConfigError, match="cannot be read"):
        profile_text("broken", settings)


@given(st.ip_addresses())
def test_every_address_can_be_a_host(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    settings = load_settings({"HOME": "/tmp", "CASEBRIDGE_HOST": str(address)})
    assert settings.http_host == str(address)


def test_default_toml_shows_every_setting(load: Load) -> None:
    text = (CHECKOUT / "config/default.toml").read_text()
    assert tomllib.loads(text) == {}, "as it stands it changes nothing"
    lines = [line.removeprefix("# ") for line in text.splitlines() if line.startswith(("# [[", "# "))]
    settings = [line for line in lines if line.startswith("[[") or line.split(" = ")[0].isidentifier()]
    shown = tomllib.loads("\n".join(line for line in settings if " = " in line or line.startswith("[[")))
    assert set(shown) == set(Settings.model_fields)
    for tables, model in (("routes", Route), ("peers", type(load('[[peers]]\ncalling_ae = "A"').peers[0]))):
        assert set(shown[tables][0]) == set(model.model_fields)
    fixed = {name: field.default for name, field in Settings.model_fields.items() if not shown_in_words(name)}
    assert {name: shown[name] for name in fixed} == fixed


def shown_in_words(name: str) -> bool:
    extra = Settings.model_fields[name].json_schema_extra
    assert isinstance(extra, dict)
    return bool(extra["shown"])


def test_reading_settings_loads_no_room_and_no_heavy_library() -> None:
    code = "import config, sys; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    heavy = {"scp", "deidentify", "cases", "api", "bridge", "pydicom", "sqlalchemy", "fastapi", "numpy", "yaml"}
    assert not heavy & set(loaded.stdout.split())
