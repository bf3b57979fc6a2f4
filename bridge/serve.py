"""``casebridge serve``: prepare, start the three processes, and print what an operator needs.

The banner comes when both ports answer; the worker starts then, and takes up what has arrived meanwhile.
"""

import shutil
import sys
from pathlib import Path

import click

from bridge.app import check_ports, check_profiles, check_tls, prepare_folders
from bridge.keys import SecretError
from bridge.logs import configure_logging
from bridge.supervisor import Supervisor
from config.settings import Settings

EXIT_CONFIG = 2


def serve(settings: Settings, *, config_file: Path | None, open_: bool) -> int:
    """Run until stopped; return the exit status."""
    configure_logging(settings.log_level, process="serve")
    try:
        check_ports(settings)
        check_tls(settings)
        check_profiles(settings)
        prepare_folders(settings)
    except (SecretError, OSError) as error:
        click.echo(f"Casebridge cannot start: {_sentence(error)}", err=True)
        return EXIT_CONFIG
    common = ["--config", str(config_file)] if config_file else []
    children = [
        ("scp", ["scp", *common, *(["--open"] if open_ else [])]),
        ("api", ["api", *common]),
    ]
    return Supervisor(
        children,
        later=[("worker", ["worker", *common])],
        on_ready=lambda said: print_banner(settings, said.get("api")),
    ).run()


def print_banner(settings: Settings, admin_token: str | None) -> None:
    """Print where everything is; the token only when it was just made."""
    where = "all interfaces" if settings.dicom_host == "0.0.0.0" else settings.dicom_host  # noqa: S104 - compared, not bound
    ports = [f"port {settings.dicom_port}"] if settings.dicom_plain else []
    ports += [f"TLS port {settings.tls_port}"] if settings.tls_port else []
    lines = [
        "Casebridge is ready.",
        f"  AE title     {settings.ae_title}",
        f"  DICOM        {' and '.join(ports)} on {where}",
        f"  Accepts      {who_may_send(settings)}",
        f"  HTTP         http://{settings.http_host}:{settings.http_port}/api/v1",
        f"  Data         {settings.data_dir}",
        f"  A study is taken up {settings.quiet_period_s:g} s after its last image.",
    ]
    lines += commitment_warning(settings)
    if admin_token:
        lines += [
            "",
            "  Administrator's token, shown this once (it is stored as a hash only):",
            f"  {admin_token}",
        ]
    command = own_command()
    lines += ["", f"  Try it: {command} demo    See it: {command} status    Stop: Ctrl-C"]
    click.echo("\n".join(lines))
    sys.stdout.flush()


def commitment_warning(settings: Settings) -> list[str]:
    """Return what has to be said where storage commitment is on; nothing where it is off."""
    peers = [peer.calling_ae for peer in settings.peers if peer.commitment is not None]
    if not peers:
        return []
    return [
        "",
        f"  WARNING: storage commitment is on for {', '.join(peers)}. Whoever is promised storage may delete its only",
        f"  copy, and Casebridge is no archive: it deletes originals {settings.commitment_keep_days} days later.",
    ]


def who_may_send(settings: Settings) -> str:
    """Return in words who may send."""
    from scp.peers import PeerRulesFile  # noqa: PLC0415 - the supervisor stays small until it has something to print

    if settings.open:
        return "any sender, whatever its AE title and address, since open is set: for trials only"
    rules = PeerRulesFile(settings.spool_dir / "peers.json").rules().rules
    allowed = len(rules) - len(settings.peers)
    parts = [f"{len(settings.peers)} peer rule(s) of the settings"] if settings.peers else []
    parts += [f"{allowed} allowed since"] if allowed > 0 else []
    if parts:
        return f"this machine, {', '.join(parts)}"
    return "this machine only; others: casebridge peers allow, [[peers]] in the settings, or --open"


def own_command() -> str:
    """Return how this command line is called from here: by name where it is on the path, else by its file."""
    if shutil.which("casebridge"):
        return "casebridge"
    path = Path(sys.executable).with_name("casebridge")
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and not isinstance(error, SecretError):
        return f"{error.strerror or type(error).__name__}: {error.filename or ''}".rstrip(": ")
    return str(error)
