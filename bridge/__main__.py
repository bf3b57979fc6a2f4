"""The command line. Each command imports what it needs when it runs, so that ``--help`` answers at once."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import click

from bridge.audit_group import audit
from bridge.command_options import EXIT_CONFIG, config_option, read_settings
from bridge.consent_group import consent
from bridge.keys import SecretError
from bridge.profile_group import profile
from bridge.user_command import user as user_group

F = TypeVar("F", bound=Callable[..., Any])

EXIT_FAILED = 1

PEM_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
open_option = click.option(
    "--open",
    "open_",
    is_flag=True,
    help="For trials: take images from any sender. Without it, senders elsewhere than on this machine need a rule.",
)


def child_options(command: F) -> F:
    """Add the hidden options by which the supervisor knows its children."""
    for name in ("--ready-fd", "--life-fd"):
        command = click.option(name, type=int, hidden=True)(command)
    return command


class _Commands(click.Group):
    """The commands; one that lacks a secret ends with a sentence instead of a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SecretError as error:
            click.echo(f"Casebridge cannot start: {error}", err=True)
            sys.exit(EXIT_CONFIG)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="casebridge")
def main() -> None:
    """Casebridge: the DICOM destination that turns "send to" into a de-identified draft teaching case.

    \b
    casebridge serve    start everything on this machine
    casebridge demo     send a few example images to it
    casebridge status   what was received, what waits, what is held and why
    casebridge receipts what became of each study, and whether all of it is there
    casebridge peers    who may send, and who was turned away
    casebridge user     accounts and their passwords
    casebridge deidentify IN OUT   folders on disk, without a server
    casebridge screen PATH...   what is written in pixels, without a server
    casebridge export CASE DIR   a case as a folder or a DICOM file set
    casebridge find-patient   one patient's cases, to withdraw or erase them
    casebridge audit    who did what, and whether the log of it is whole
    """  # noqa: D301 - click wants the character itself, to keep the lines apart


@main.command()
@config_option
@open_option
def serve(config_file: Path | None, open_: bool) -> None:
    """Start receiver, worker and HTTP API on this machine and keep them running.

    The first start creates the data folder, the installation's secret and an administrator's token, shown once.
    """
    from bridge.serve import serve as run  # noqa: PLC0415

    sys.exit(run(read_settings(config_file, open_=open_), config_file=config_file, open_=open_))


@main.command()
@config_option
@open_option
@child_options
def scp(config_file: Path | None, open_: bool, ready_fd: int | None, life_fd: int | None) -> None:
    """Run a receiver alone: it needs the spool and the secret, but no database."""
    from bridge.processes import run_receiver  # noqa: PLC0415

    run_receiver(read_settings(config_file, open_=open_), ready_fd=ready_fd, life_fd=life_fd)


@main.command()
@config_option
@child_options
def worker(config_file: Path | None, ready_fd: int | None, life_fd: int | None) -> None:
    """Run a worker alone: it settles studies, de-identifies them and files them as drafts."""
    from bridge.processes import run_worker  # noqa: PLC0415

    run_worker(read_settings(config_file), ready_fd=ready_fd, life_fd=life_fd)


@main.command()
@config_option
@child_options
def api(config_file: Path | None, ready_fd: int | None, life_fd: int | None) -> None:
    """Run the HTTP API alone."""
    from bridge.processes import run_api  # noqa: PLC0415

    run_api(read_settings(config_file), ready_fd=ready_fd, life_fd=life_fd)


@main.command()
@config_option
def migrate(config_file: Path | None) -> None:
    """Prepare data folder, secret and database, and show the administrator's token where it is new."""
    from bridge.app import prepare  # noqa: PLC0415

    token = prepare(read_settings(config_file))
    click.echo("The database is up to date.")
    if token:
        click.echo(f"Administrator's token, shown this once: {token}")


@main.command()
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.argument("host")
@click.argument("port", type=click.IntRange(1, 65535))
@click.option("--aec", "called_ae", default="CASEBRIDGE", show_default=True, help="AE title of the receiver.")
@click.option("--aet", "calling_ae", default="CASEBRIDGE-SEND", show_default=True, help="AE title of this sender.")
@click.option("--tls", "is_tls", is_flag=True, help="Speak TLS.")
@click.option("--ca", "ca_file", type=PEM_FILE, help="Authorities that the receiver's certificate may come from.")
@click.option("--cert", "certificate_file", type=PEM_FILE, help="Our certificate, where the receiver asks for one.")
@click.option("--key", "key_file", type=PEM_FILE, help="Its key, where it is in another file.")
@click.option("--server-name", help="Whom the receiver's certificate names, where that is not HOST.")
def send(path: Path, host: str, port: int, called_ae: str, calling_ae: str, *, is_tls: bool, **tls: Any) -> None:
    """Send the DICOM files in PATH (a file or a folder) to a receiver, for trying without a PACS."""
    from bridge.sending import client_tls, send_with_progress  # noqa: PLC0415

    if not is_tls and any(tls.values()):
        raise click.UsageError("--ca, --cert, --key and --server-name speak of TLS; add --tls")
    if tls["key_file"] and not tls["certificate_file"]:
        raise click.UsageError("--key belongs to a certificate; add --cert")
    is_complete = send_with_progress(
        [path], host, port, called_ae=called_ae, calling_ae=calling_ae, tls=client_tls(**tls) if is_tls else None
    )
    sys.exit(0 if is_complete else EXIT_FAILED)


@main.command()
@config_option
@click.option("--wait", "wait_s", default=120.0, show_default=True, help="Seconds to wait for the drafts.")
def demo(config_file: Path | None, wait_s: float) -> None:
    """Send a few example images that come with pydicom to the running bridge, and show where the drafts are."""
    from bridge.demo import run_demo  # noqa: PLC0415

    sys.exit(0 if run_demo(read_settings(config_file), wait_s=wait_s) else EXIT_FAILED)


@main.command()
@config_option
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def status(config_file: Path | None, as_json: bool) -> None:
    """Show what was received, what waits, what is held and why; the sums add up."""
    from bridge.status import show_status  # noqa: PLC0415

    sys.exit(show_status(read_settings(config_file), as_json=as_json))


@main.command()
@config_option
@click.argument("code", required=False)
@click.option(
    "--state",
    type=click.Choice(["arriving", "complete", "probably-complete", "short", "unknown"]),
    help="Only studies in this state.",
)
@click.option("--sender", help="Only studies from this calling AE title.")
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"]),
    help="Only studies of which something arrived since (UTC).",
)
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="How many at most.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def receipts(
    config_file: Path | None,
    code: str | None,
    *,
    state: str | None,
    sender: str | None,
    since: datetime | None,
    limit: int,
    as_json: bool,
) -> None:
    """Show what became of each study, the latest first; with a CODE, all of that one."""
    from bridge.receipts import show_receipt, show_receipts  # noqa: PLC0415
    from cases.evidence import ReceiptState  # noqa: PLC0415
    from cases.store.receipts import ReceiptFilter  # noqa: PLC0415

    settings = read_settings(config_file)
    if code is not None:
        sys.exit(show_receipt(settings, code, as_json=as_json))
    filters = ReceiptFilter(
        state=ReceiptState(state) if state else None,
        sender=sender,
        since=since.replace(tzinfo=UTC) if since else None,
    )
    sys.exit(show_receipts(settings, filters=filters, limit=limit, as_json=as_json))


@main.command()
@config_option
@click.argument("user")
@click.option(
    "--role",
    type=click.Choice(["contributor", "editor", "reviewer", "admin"]),
    default="contributor",
    show_default=True,
    help="Role of a user who does not exist yet.",
)
@click.option("--label", default="command line", show_default=True, help="What the token is for.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(["read", "write", "moderate", "administer"]),
    help="What it may be used for; several. All that the role has, if not given.",
)
@click.option("--days", type=click.IntRange(1, 3653), default=90, show_default=True, help="How long it lasts.")
@click.option("--never-expires", is_flag=True, help="It lasts until it is revoked, whatever --days says.")
def token(config_file: Path | None, days: int, *, never_expires: bool, **terms: Any) -> None:
    """Issue a token for USER, who is created where absent. It is shown once and stored as a hash."""
    from bridge.app import issue_token  # noqa: PLC0415
    from cases.errors import CaseError  # noqa: PLC0415

    expires_at = None if never_expires else datetime.now(UTC) + timedelta(days=days)
    try:
        click.echo(issue_token(read_settings(config_file), expires_at=expires_at, **terms))
    except CaseError as error:
        raise click.ClickException(str(error)) from None


@main.group(invoke_without_command=True)
@config_option
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_context
def peers(context: click.Context, config_file: Path | None, as_json: bool) -> None:
    """Show who may send, who was turned away and why, and who did send."""
    context.obj = config_file
    if context.invoked_subcommand is None:
        from bridge.peers_command import show_peers  # noqa: PLC0415

        sys.exit(show_peers(read_settings(config_file), as_json=as_json))


@peers.command("allow")
@config_option
@click.argument("calling_ae")
@click.option("--from", "addresses", multiple=True, metavar="ADDRESS", help="Address or range; as many as needed.")
@click.option("--certificate", "certificates", multiple=True, help="sha256: and its fingerprint, or the name in it.")
@click.option("--max-associations", type=click.IntRange(1, 1000), help="How many it may have open at once.")
@click.option("--note", default="", help="What it is for; shown to administrators.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def allow_peer(group_config: Path | None, /, config_file: Path | None, **terms: Any) -> None:
    """Let the AE title CALLING_AE send from now on; receivers that run need no restart."""
    from bridge.peers_command import allow  # noqa: PLC0415

    sys.exit(allow(read_settings(config_file or group_config), **terms))


@peers.command("remove")
@config_option
@click.argument("rule_id", metavar="ID")
@click.pass_obj
def remove_peer(group_config: Path | None, /, config_file: Path | None, rule_id: str) -> None:
    """Take back the allowed rule ID, or whose id begins so. Rules of the settings are changed in the settings."""
    from bridge.peers_command import remove  # noqa: PLC0415

    sys.exit(remove(read_settings(config_file or group_config), rule_id))


@main.command("find-patient")
@config_option
@click.option("--study", "by_study", is_flag=True, help="Standard input is a Study Instance UID.")
@click.option("--withdraw", is_flag=True, help="Make drafts again of the cases that others can see.")
@click.option("--erase", is_flag=True, help="Erase the cases with their images, and the originals that are there.")
@click.option("--all-issuers", is_flag=True, help="Also where several issuers use the number: maybe several people.")
@click.option("--yes", "is_confirmed", is_flag=True, help="Do it.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def find_patient(config_file: Path | None, **choice: Any) -> None:
    """Show the cases of the patient whose ID is written to standard input; a second line may name its issuer.

    An ID on the command line would stand in the list of processes and in the history of the shell. The audit log keeps
    who asked and how much was found. The exit status is 3 where nothing was.
    """
    from bridge.find_patient import find_patient as run  # noqa: PLC0415

    sys.exit(run(read_settings(config_file), **choice))


@main.group()
def secret() -> None:
    """Look after the generations of the installation's secret. The secret itself is never shown."""


@secret.command("list")
@config_option
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def secret_list(config_file: Path | None, *, as_json: bool) -> None:
    """Show the generations, since when there is each, and what still needs it."""
    from bridge.secret_command import list_generations  # noqa: PLC0415

    sys.exit(list_generations(read_settings(config_file), as_json=as_json))


@secret.command("rotate")
@config_option
def secret_rotate(config_file: Path | None) -> None:
    """Begin a new generation: cases opened from now on are made under it. Everything may go on meanwhile."""
    from bridge.secret_command import rotate_secret  # noqa: PLC0415

    sys.exit(rotate_secret(read_settings(config_file)))


@secret.command("retire")
@config_option
@click.argument("number", type=click.IntRange(1))
def secret_retire(config_file: Path | None, number: int) -> None:
    """Delete generation NUMBER from the secret file; refused while a case or an original needs it."""
    from bridge.secret_command import retire_generation  # noqa: PLC0415

    sys.exit(retire_generation(read_settings(config_file), number))


@main.command("deidentify")
@config_option
@click.argument("identified_input", metavar="IN", type=click.Path(exists=True, path_type=Path))
@click.argument("output", metavar="OUT", type=click.Path(file_okay=False, path_type=Path))
@click.option("--profile", help="Name of a profile, or a YAML file; the one of the settings, if not given.")
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="Where the JSON report goes.")
@click.option(
    "--map",
    "identified_map",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write which name and UID became which. It leads back to the patients.",
)
@click.option("--no-pixels", is_flag=True, help="Leave the pixels unread; images then say that they were not checked.")
@click.option(
    "--case-per",
    type=click.Choice(["input", "folder", "patient", "study"]),
    default="input",
    show_default=True,
    help="What shares pseudonyms and one shift of dates.",
)
@click.option("--secret-file", type=PEM_FILE, help="64 hexadecimal digits; makes later runs give the same pseudonyms.")
@click.option("--generation", type=click.IntRange(1), help="Of the secret; the latest, if not given.")
@click.option("--case", "case_name", default="", help="With a secret file: the case that IN belongs to.")
@click.option("--workers", type=click.IntRange(1, 256), help="Processes; as many as processors, if not given.")
def deidentify_files(
    config_file: Path | None, identified_input: Path, output: Path, *, no_pixels: bool, case_per: str, **choice: Any
) -> None:
    """De-identify the DICOM files of IN, a folder or a file, into the new folder OUT; no server is needed.

    The tree is kept; names that could identify somebody are replaced. What has to be held or dropped is not written,
    and the report says why. Exit status: 0 when every instance was written or dropped by the profile, 1 when some are
    held, 2 when nothing was begun.
    """
    from bridge.deidentify_command import Choices, deidentify  # noqa: PLC0415
    from bridge.offline import CasePer  # noqa: PLC0415

    choices = Choices(
        identified_input=identified_input,
        output=output,
        has_screen=not no_pixels,
        case_per=CasePer(case_per),
        **choice,
    )
    sys.exit(deidentify(choices, read_settings(config_file)))


@main.command("screen")
@config_option
@click.argument(
    "identified_paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path)
)
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="New file: every frame with its regions.")
@click.option("--with-text", is_flag=True, help="Put what was read into the JSON file; it identifies patients.")
@click.option("--images", "image_folder", type=click.Path(path_type=Path), help="New folder: frames with text, boxed.")
@click.option(
    "--redact", "redacted_folder", type=click.Path(path_type=Path), help="New folder: copies with boxes made black."
)
@click.option("--jobs", type=click.IntRange(1, 256), help="Processes; as many as processors, if not given.")
def screen_pixels(config_file: Path | None, **choice: Any) -> None:
    """Read every frame of the files and folders PATH and say where text is burned in; nothing is changed or sent.

    Each image is read against its own header. Copies with boxes made black keep their header, and identify by it.
    Exit status: 0 when all images are clear, 1 when something was found, could not be read, or no image was there,
    2 when nothing was begun.
    """
    from bridge.screen_command import Choices, screen_files  # noqa: PLC0415

    sys.exit(screen_files(Choices(**choice), read_settings(config_file)))


@main.command("export")
@config_option
@click.argument("case_id", metavar="CASE")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--dicomdir", is_flag=True, help="Make a DICOM file set: files named for it, and a DICOMDIR.")
def export_case(config_file: Path | None, case_id: str, folder: Path, *, dicomdir: bool) -> None:
    """Write what is filed of CASE, its images and its texts, into the new folder DIR. The audit log keeps who did.

    The images are the de-identified ones, never originals. Exit status: 0 when all of it was written, 1 when nothing
    was, 2 when the settings are wrong.
    """
    from bridge.app import open_database  # noqa: PLC0415
    from bridge.export_command import Choice, cannot, export  # noqa: PLC0415
    from cases.blobs import open_blobs  # noqa: PLC0415
    from cases.errors import CaseError  # noqa: PLC0415

    settings = read_settings(config_file)
    try:
        with open_database(settings) as database:
            choice = Choice(case_id=case_id, folder=folder, dicomdir=dicomdir)
            sys.exit(export(database, open_blobs(settings.blob_url), choice))
    except CaseError as error:
        sys.exit(cannot(error))


main.add_command(profile)
main.add_command(user_group)
main.add_command(audit)
main.add_command(consent)


@main.group(invoke_without_command=True)
@config_option
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_context
def crosswalk(context: click.Context, config_file: Path | None, *, as_json: bool) -> None:
    """Show whether it is kept, sealed, whose a case is; to make its keys, and to read an entry."""
    context.obj = config_file
    if context.invoked_subcommand is None:
        from bridge.crosswalk_command import show  # noqa: PLC0415

        sys.exit(show(read_settings(config_file), as_json=as_json))


@crosswalk.command("keygen")
@click.option("--private", required=True, type=click.Path(path_type=Path), help="New file, to be kept elsewhere.")
@click.option("--public", required=True, type=click.Path(path_type=Path), help="New file, for crosswalk_key_file.")
def crosswalk_keygen(private: Path, public: Path) -> None:
    """Make a pair of keys, best on a machine without a network; the private one is kept under a passphrase."""
    from bridge.crosswalk_command import keygen  # noqa: PLC0415

    sys.exit(keygen(private, public))


@crosswalk.command("read")
@config_option
@click.argument("case_id", metavar="CASE")
@click.option("--key", "key_file", required=True, type=PEM_FILE, help="The private key, brought here for this.")
@click.option("--reason", required=True, help="Why, for the audit log; never a patient's name or number.")
@click.pass_obj
def crosswalk_read(group_config: Path | None, /, config_file: Path | None, **choice: Any) -> None:
    """Show whose CASE is. The audit log keeps who asked, when and why, also where it does not open."""
    from bridge.crosswalk_command import read  # noqa: PLC0415

    sys.exit(read(read_settings(config_file or group_config), **choice))


@crosswalk.command("clear")
@config_option
@click.option("--yes", "is_confirmed", is_flag=True, help="Do it.")
@click.pass_obj
def crosswalk_clear(group_config: Path | None, /, config_file: Path | None, *, is_confirmed: bool) -> None:
    """Delete every entry, when nobody has to be found again any more."""
    from bridge.crosswalk_command import clear  # noqa: PLC0415

    sys.exit(clear(read_settings(config_file or group_config), is_confirmed=is_confirmed))


@main.group("spool-key")
def spool_key() -> None:
    """Make keys that seal originals at rest."""


@spool_key.command("new")
def spool_key_new() -> None:
    """Print a new key, as a line for the key file."""
    from bridge.spool_keys import new_spool_key  # noqa: PLC0415

    click.echo(new_spool_key(), nl=False)


@main.group("spool")
def spool_group() -> None:
    """Look after the folder of the originals."""


@spool_group.command("rekey")
@config_option
def spool_rekey(config_file: Path | None) -> None:
    """Seal every original, and what is derived from it, under the first spool key; plain ones as well.

    Everything may go on meanwhile. It can be stopped and repeated at any time.
    """
    from bridge.rekey import rekey_with_progress  # noqa: PLC0415

    sys.exit(rekey_with_progress(read_settings(config_file)))


@main.group(invoke_without_command=True)
@config_option
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_context
def originals(context: click.Context, config_file: Path | None, as_json: bool) -> None:
    """Show which originals are there, by keys, and until when they are kept."""
    context.obj = config_file
    if context.invoked_subcommand is None:
        from bridge.originals import list_originals  # noqa: PLC0415

        sys.exit(list_originals(read_settings(config_file), as_json=as_json))


@originals.command("export")
@config_option
@click.option("--study", metavar="KEY", help="The study, as casebridge originals shows it.")
@click.option("--transaction", metavar="UID", help="What a storage commitment request named: its UID or its key.")
@click.option("--to", required=True, type=click.Path(file_okay=False, path_type=Path), help="A new folder.")
@click.option("--reason", required=True, help="Why, for the audit log; never a patient's name or number.")
@click.pass_obj
def export_originals(group_config: Path | None, /, config_file: Path | None, **choice: Any) -> None:
    """Copy originals into a folder, as they were received. They identify the patient; the audit log keeps why."""
    from bridge.originals import export  # noqa: PLC0415

    sys.exit(export(read_settings(config_file or group_config), **choice))


@originals.command("purged")
@config_option
@click.option("--since", type=click.DateTime(), help="Moment in UTC from which on to look; all, if not given.")
@click.option("--arrival", "arrival_id", help="Only what says when the original of this arrival went.")
@click.option("--json", "as_json", is_flag=True, help="For programs, with the arrivals that each line is about.")
@click.pass_obj
def purged_originals(group_config: Path | None, /, config_file: Path | None, **choice: Any) -> None:
    """Show from the audit log which originals were deleted, when and why."""
    from bridge.purges import show_purges  # noqa: PLC0415

    sys.exit(show_purges(read_settings(config_file or group_config), **choice))


if __name__ == "__main__":
    main()
