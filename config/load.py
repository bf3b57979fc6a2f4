"""Read the settings from file and environment, and say all that is wrong with them at once."""

import difflib
import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from config.errors import ConfigError
from config.profile_files import has_profile, unknown_profile
from config.settings import DATABASE_FILE, Peer, Route, Settings

PREFIX = "CASEBRIDGE_"
CONFIG_FILE_VARIABLE = "CASEBRIDGE_CONFIG_FILE"
CONFIG_FILE_NAME = "casebridge.toml"

# Variables that are ours but no settings: where the file lies, and where the tests find their corpus.
_OTHER_VARIABLES = frozenset({CONFIG_FILE_VARIABLE, "CASEBRIDGE_CORPUS"})
_TABLES: dict[str, type[BaseModel]] = {"routes": Route, "peers": Peer}
_NEVER_QUOTED = frozenset({"admin_token", "database_url", "blob_url", "spool_key_command"})
_MAX_QUOTED = 60
_FAULTS = {
    "int_": "is not a whole number",
    "float_": "is not a number",
    "finite_": "is not a number",
    "bool_": "is neither true nor false",
    "greater_than_equal": "is less than {ge}",
    "less_than_equal": "is more than {le}",
    "literal_error": "is no such choice",
    "string_too_short": "is empty",
    "missing": "is missing",
}
"""The beginning of a pydantic error type, and the fault as it follows the name of the setting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """What file and environment say, and which of them said it."""

    values: dict[str, Any]
    sources: dict[str, str]
    faults: list[str]

    def named(self, setting: str) -> str:
        """Return a setting as its reader knows it: by variable, or by name and file."""
        return self.sources.get(setting, setting)


def load_settings(environ: Mapping[str, str], config_file: Path | None = None) -> Settings:
    """Read, check and freeze the settings. The environment goes before the file.

    Parameters
    ----------
    environ
        The environment; only variables that begin with ``CASEBRIDGE_``, ``XDG_DATA_HOME`` and ``HOME`` are read.
    config_file
        A file named on the command line. Without it ``CASEBRIDGE_CONFIG_FILE`` names one, and without that
        ``casebridge.toml`` in the data folder is read where it is there.

    Raises
    ------
    ConfigError
        With every fault that was found, never only the first.
    """
    given = _given(environ, config_file)
    data_dir = _data_dir(environ, given.values)
    defaults: dict[str, Any] = {
        "data_dir": data_dir,
        "spool_dir": data_dir / "spool",
        "secret_file": data_dir / "secret",
        "database_url": f"sqlite:///{data_dir / DATABASE_FILE}",
        "blob_url": (data_dir / "blobs").as_uri(),
    }
    settings = None
    try:
        settings = Settings.model_validate(defaults | given.values)
    except ValidationError as error:
        given.faults.extend(_sentence(given, detail) for detail in error.errors(include_url=False))
    if settings is not None:
        given.faults.extend(_disagreements(settings, given))
    if given.faults or settings is None:
        raise ConfigError(given.faults)
    return settings


def _given(environ: Mapping[str, str], config_file: Path | None) -> _Given:
    """Merge file and environment."""
    faults: list[str] = []
    from_environment = dict(_from_environment(environ, faults))
    found, path = _config_path(environ, config_file, from_environment)
    from_file = _from_file(path, faults) if found else {}
    sources = {name: f"{name} (in {path})" for name in from_file}
    sources |= {name: PREFIX + name.upper() for name in from_environment}
    return _Given(values=from_file | from_environment, sources=sources, faults=faults)


def _config_path(
    environ: Mapping[str, str], config_file: Path | None, from_environment: Mapping[str, Any]
) -> tuple[bool, Path]:
    """Return whether a settings file is to be read, and which."""
    named = config_file or environ.get(CONFIG_FILE_VARIABLE)
    if named:
        return True, Path(named).expanduser().absolute()
    path = _data_dir(environ, from_environment) / CONFIG_FILE_NAME
    return path.is_file(), path


def _data_dir(environ: Mapping[str, str], given: Mapping[str, Any]) -> Path:
    if given.get("data_dir"):
        return Path(str(given["data_dir"])).expanduser().absolute()
    home = environ.get("HOME") or str(Path.home())
    shared = environ.get("XDG_DATA_HOME", "")
    # The base directory specification has relative paths ignored.
    base = Path(shared) if shared.startswith("/") else Path(home) / ".local" / "share"
    return base / "casebridge"


def _from_environment(environ: Mapping[str, str], faults: list[str]) -> Iterator[tuple[str, Any]]:
    """Yield each setting that the environment gives. An empty variable gives none."""
    for variable, text in sorted(environ.items()):
        if not variable.startswith(PREFIX) or variable in _OTHER_VARIABLES:
            continue
        name = variable.removeprefix(PREFIX).lower()
        if name not in Settings.model_fields or variable != variable.upper():
            known = [field.upper() for field in Settings.model_fields] + [CONFIG_FILE_VARIABLE.removeprefix(PREFIX)]
            mend = _did_you_mean(name.upper(), known, PREFIX)
            faults.append(f"{variable}: there is no such setting{mend}")
        elif text and name in _TABLES:
            try:
                yield name, json.loads(text)
            except json.JSONDecodeError as error:
                faults.append(f"{variable}: is not JSON (character {error.pos}); write a list of objects: [{{…}}].")
        elif text:
            yield name, text


def _from_file(path: Path, faults: list[str]) -> dict[str, Any]:
    """Return what a settings file gives; what it should not hold becomes a fault."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        faults.append(f"Settings file {path}: is not TOML: {error}; mend that line.")
        return {}
    except FileNotFoundError:
        faults.append(f"Settings file {path}: does not exist; name one that does with --config.")
        return {}
    except (OSError, UnicodeDecodeError) as error:
        faults.append(f"Settings file {path}: cannot be read ({type(error).__name__}); make it a readable UTF-8 text.")
        return {}
    for name in content.keys() - Settings.model_fields.keys():
        known = list(Settings.model_fields)
        faults.append(f"{name} (in {path}): there is no such setting{_did_you_mean(name, known)}")
    return {name: value for name, value in content.items() if name in Settings.model_fields}


def _did_you_mean(name: str, known: list[str], prefix: str = "") -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {prefix}{close[0]}?" if close else "; take it out (docs/settings.md lists them all)."


def _sentence(given: _Given, detail: ErrorDetails) -> str:
    """Turn an error of pydantic's into a sentence with the setting, the fault and the mend."""
    setting, *inside = detail["loc"]
    mend = _mend(str(setting))
    name = given.named(str(setting))
    parts = [part for part in inside if isinstance(part, int) or part in _table_fields(str(setting))]
    if parts:
        name += ", " + " ".join(f"table {part + 1}" if isinstance(part, int) else str(part) for part in parts[:2])
    if detail["type"] == "extra_forbidden":
        unknown = str(detail["loc"][-1])
        return f"{name}: {unknown} is no key of this table{_did_you_mean(unknown, _table_fields(str(setting)))}"
    quoted = "" if setting in _NEVER_QUOTED or isinstance(detail["input"], dict | list) else _quoted(detail["input"])
    return f"{name}: {quoted}{_fault(detail)}; {mend}."


def _fault(detail: ErrorDetails) -> str:
    """Return what is wrong, worded to follow the name of the setting."""
    context = detail.get("ctx", {})
    if detail["type"] == "value_error":
        return str(context["error"])
    limits = {name: f"{limit:.0f}" for name, limit in context.items() if isinstance(limit, int | float)}
    for kind, fault in _FAULTS.items():
        if detail["type"].startswith(kind):
            return fault.format_map(limits)
    return "is of the wrong kind"


def _quoted(value: object) -> str:
    text = repr(value)
    return f"{text if len(text) <= _MAX_QUOTED else text[:_MAX_QUOTED] + '…'} "


def _mend(setting: str) -> str:
    extra = Settings.model_fields[setting].json_schema_extra
    return str(extra["mend"]) if isinstance(extra, dict) else ""


def _table_fields(setting: str) -> list[str]:
    return list(_TABLES[setting].model_fields) if setting in _TABLES else []


def _disagreements(settings: Settings, given: _Given) -> Iterator[str]:
    """Yield the faults that lie between settings which are right one by one."""
    if settings.dicom_port == settings.http_port:
        yield f"{given.named('http_port')}: is the DICOM port as well; give the two services two ports."
    yield from _tls_disagreements(settings, given)
    yield from _client_certificate_disagreements(settings, given)
    if settings.quiet_period_s > settings.max_settle_s:
        yield (
            f"{given.named('quiet_period_s')}: is longer than max_settle_s ({settings.max_settle_s:g}), "
            "so no study would ever be quiet; make it shorter."
        )
    if settings.hold_reminder_days > settings.hold_retention_days:
        yield (
            f"{given.named('hold_reminder_days')}: comes after hold_retention_days "
            f"({settings.hold_retention_days}), when nothing is left to decide; make it smaller."
        )
    yield from _route_disagreements(settings, given)
    for name in dict.fromkeys([settings.profile, *(route.profile for route in settings.routes if route.profile)]):
        if not has_profile(name, settings):
            where = given.named("profile" if name == settings.profile else "routes")
            yield f"{where}: {unknown_profile(name, settings)}"
    yield from _files_that_disagree(settings, given)


def _files_that_disagree(settings: Settings, given: _Given) -> Iterator[str]:
    if settings.spool_key_file is not None and settings.spool_key_command is not None:
        yield f"{given.named('spool_key_command')}: spool_key_file is set as well; take one of the two out."
    for setting, folder in (("data_dir", settings.data_dir), ("spool_dir", settings.spool_dir)):
        nearest = next(path for path in (folder, *folder.parents) if path.exists())
        if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
            yield f"{given.named(setting)}: {nearest} cannot be written to; make it writable or name another folder."


def _route_disagreements(settings: Settings, given: _Given) -> Iterator[str]:
    pairs = [(route.calling_ae, route.called_ae) for route in settings.routes]
    for number, (route, pair) in enumerate(zip(settings.routes, pairs, strict=True), 1):
        if pair in pairs[: number - 1]:
            yield f"{given.named('routes')}, table {number}: has the two AE titles of an earlier one; merge them."
        quiet_s = settings.quiet_period_s if route.quiet_period_s is None else route.quiet_period_s
        longest_s = settings.max_settle_s if route.max_settle_s is None else route.max_settle_s
        if quiet_s > longest_s and (route.quiet_period_s, route.max_settle_s) != (None, None):
            yield (
                f"{given.named('routes')}, table {number}: its quiet_period_s ({quiet_s:g}) is longer than its "
                f"max_settle_s ({longest_s:g}), so no study would ever be quiet; make it shorter."
            )


def _tls_disagreements(settings: Settings, given: _Given) -> Iterator[str]:
    """Yield the faults between the settings of TLS; the files themselves are looked at by who serves it."""
    if settings.tls_port is None:
        for name in ("tls_certificate_file", "tls_key_file", "tls_client_ca_file"):
            if getattr(settings, name) is not None:
                yield f"{given.named(name)}: does nothing without a port for TLS; set tls_port = 2762, or take it out."
        if settings.tls_client_certificates != "off":
            yield f"{given.named('tls_client_certificates')}: does nothing without a port for TLS; set tls_port = 2762."
        if not settings.dicom_plain:
            yield f"{given.named('dicom_plain')}: leaves no port for DICOM; set tls_port = 2762, or take it out."
        return
    for name in ("tls_certificate_file", "tls_key_file"):
        if getattr(settings, name) is None:
            yield f"{given.named('tls_port')}: needs {name}; name the PEM file, or take tls_port out."
    if settings.tls_port in {settings.dicom_port, settings.http_port}:
        yield f"{given.named('tls_port')}: is another service's port as well; give each its own."


def _client_certificate_disagreements(settings: Settings, given: _Given) -> Iterator[str]:
    """Yield the faults between what clients are asked for and what is needed for that."""
    is_asked = settings.tls_client_certificates != "off"
    if is_asked and settings.tls_client_ca_file is None:
        yield f"{given.named('tls_client_certificates')}: needs tls_client_ca_file to check them; name the PEM file."
    if not is_asked and settings.tls_port is not None and settings.tls_client_ca_file is not None:
        yield f"{given.named('tls_client_ca_file')}: is not used; set tls_client_certificates to optional or required."
    for number, peer in enumerate(settings.peers, 1):
        if peer.certificates and not (is_asked and settings.tls_port is not None):
            yield (
                f"{given.named('peers')}, table {number} certificates: could never be shown; "
                "set tls_port and tls_client_certificates."
            )
