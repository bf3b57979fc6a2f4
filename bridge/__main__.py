"""The command line. Each command imports what it needs when it runs, so that ``--help`` answers at once."""

import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bridge.keys import SecretError

if TYPE_CHECKING:
    from config.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])

EXIT_CONFIG = 2
EXIT_FAILED = 1

config_option = click.option(
    "--config",
    "config_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Settings file (TOML). Environment variables CASEBRIDGE_<NAME> win over it.",
)
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


def read_settings(config_file: Path | None, *, open_: bool = False) -> "Settings":
    """Load the settings or end with exit status 2 and every fault in a sentence of its own."""
    from config import ConfigError, load_settings  # noqa: PLC0415 - see the module's docstring

    environ = dict(os.environ)
    if open_:
        environ["CASEBRIDGE_OPEN"] = "true"
    try:
        return load_settings(environ, config_file)
    except ConfigError as error:
        click.echo(str(error), err=True)
        sys.exit(EXIT_CONFIG)


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
    casebridge deidentify IN OUT   folders on disk, without a server
    casebridge screen PATH...   what is written in pixels, without a server
    casebridge find-patient   one patient's cases, to withdraw or erase them
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
def token(config_file: Path | None, user: str, role: str, label: str) -> None:
    """Issue a token for USER, who is created where absent. It is shown once and stored as a hash."""
    from bridge.app import issue_token  # noqa: PLC0415

    click.echo(issue_token(read_settings(config_file), user=user, role=role, label=label))


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
@click.option("--jobs", type=click.IntRange(1, 256), help="Processes; as many as processors, if not given.")
def screen_pixels(config_file: Path | None, **choice: Any) -> None:
    """Read every frame of the files and folders PATH and say where text is burned in; nothing is changed or sent.

    Each image is read against its own header. Exit status: 0 when all images are clear, 1 when something was found,
    could not be read, or no image was there, 2 when nothing was begun.
    """
    from bridge.screen_command import Choices, screen_files  # noqa: PLC0415

    sys.exit(screen_files(Choices(**choice), read_settings(config_file)))


@main.group()
def profile() -> None:
    """Read, check and explain de-identification profiles, and translate scripts of other programs."""


json_option = click.option("--json", "as_json", is_flag=True, help="For programs.")


@profile.command("list")
@config_option
@json_option
def profile_list(config_file: Path | None, *, as_json: bool) -> None:
    """List the profiles that there are, with their revisions."""
    from bridge.profile_command import list_profiles  # noqa: PLC0415

    sys.exit(list_profiles(read_settings(config_file), as_json=as_json))


@profile.command("check")
@config_option
@json_option
@click.argument("source", metavar="PROFILE")
def profile_check(config_file: Path | None, source: str, *, as_json: bool) -> None:
    """Say what PROFILE, a YAML file or a name, does and what it loosens; with every fault when it is wrong."""
    from bridge.profile_command import check  # noqa: PLC0415

    sys.exit(check(read_settings(config_file), source, as_json=as_json))


@profile.command("explain")
@config_option
@json_option
@click.argument("source", metavar="PROFILE")
@click.argument("attribute", metavar="[TAG]", required=False)
@click.option("--inside", multiple=True, help="A sequence around the attribute; several, the outermost first.")
@click.option("--sop-class", default="CT Image Storage", show_default=True, help="Whose attribute Types count.")
def profile_explain(config_file: Path | None, source: str, attribute: str | None, **choice: Any) -> None:
    """Say what becomes of TAG, a tag or keyword, under PROFILE and which line decides it; of all without TAG."""
    from bridge.profile_command import explain  # noqa: PLC0415

    sys.exit(explain(read_settings(config_file), source, attribute, **choice))


@profile.command("show")
@config_option
@click.argument("source", metavar="PROFILE")
def profile_show(config_file: Path | None, source: str) -> None:
    """Print the text of PROFILE, behind it the profiles that it is built on."""
    from bridge.profile_command import show  # noqa: PLC0415

    sys.exit(show(read_settings(config_file), source))


@profile.command("preview")
@config_option
@click.argument("source", metavar="PROFILE")
@click.argument("identified_paths", metavar="[FILE...]", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--study", help="Key of a retained study, as casebridge originals shows it, instead of files.")
@click.option("--most", type=click.IntRange(0), default=12, show_default=True, help="Instances of a study; 0 for all.")
@click.option("--all", "shows_all", is_flag=True, help="Show elements that stay as they are too.")
@click.option("--only", multiple=True, metavar="TAG", help="Show this attribute only, by tag or keyword; several.")
@click.option("--no-pixels", is_flag=True, help="Leave the pixels unread.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="New file for all of it; it identifies.")
@click.option("--images", "image_folder", type=click.Path(path_type=Path), help="New folder for pictures side by side.")
def profile_preview(config_file: Path | None, source: str, *, no_pixels: bool, **choice: Any) -> None:
    """Show element by element what PROFILE makes of files or a retained study; the answer identifies patients."""
    from bridge.preview_command import Choices, preview  # noqa: PLC0415

    sys.exit(preview(read_settings(config_file), source, Choices(has_screen=not no_pixels, **choice)))


@profile.command("impact")
@config_option
@json_option
@click.argument("first", metavar="PROFILE")
@click.argument("second", metavar="OTHER")
@click.argument("identified_paths", metavar="[FILE...]", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--last", type=click.IntRange(1), default=20, show_default=True, help="Retained studies, without files.")
@click.option("--most", type=click.IntRange(0), default=5, show_default=True, help="Instances of each; 0 for all.")
def profile_impact(config_file: Path | None, first: str, second: str, **choice: Any) -> None:
    """Count what would change from PROFILE to OTHER over retained studies or files, without showing any value."""
    from bridge.preview_command import impact  # noqa: PLC0415

    sys.exit(impact(read_settings(config_file), (first, second), **choice))


@profile.command("publish")
@config_option
@click.argument("source", metavar="PROFILE")
@click.option("--note", default="", help="Why, for the history.")
@click.option("--replaces", help="Only while the name means this REVISION; empty: only while it means none.")
def profile_publish(config_file: Path | None, source: str, *, note: str, replaces: str | None) -> None:
    """Let the name of PROFILE, a YAML file, mean this text for new cases, on all hosts and without a restart."""
    from bridge.profile_rollout import publish  # noqa: PLC0415

    sys.exit(publish(read_settings(config_file), source, note=note, replaces=replaces))


called_option = click.option("--called", "called_ae", help="The AE title that is sent to.")
calling_option = click.option(
    "--calling", "calling_ae", default="*", show_default=True, help="The AE title that sends."
)


@profile.command("use")
@config_option
@click.argument("name", metavar="NAME[@REVISION]")
@click.option("--called", "called_ae", required=True, help="The AE title that is sent to.")
@calling_option
def profile_use(config_file: Path | None, name: str, *, called_ae: str, calling_ae: str) -> None:
    """Give a route the profile NAME: its newest revision, or always REVISION."""
    from bridge.profile_rollout import use  # noqa: PLC0415

    sys.exit(use(read_settings(config_file), name, called_ae=called_ae, calling_ae=calling_ae))


@profile.command("rollback")
@config_option
@click.argument("name", required=False)
@called_option
@calling_option
@click.option("--to-settings", is_flag=True, help="Of a route: leave its profile to the settings again.")
def profile_rollback(config_file: Path | None, name: str | None, **choice: Any) -> None:
    """Go back to the revision that NAME meant before, or to the profile that a route had before."""
    from bridge.profile_rollout import rollback  # noqa: PLC0415

    sys.exit(rollback(read_settings(config_file), name, **choice))


@profile.command("history")
@config_option
@json_option
@click.argument("name", required=False)
def profile_history(config_file: Path | None, name: str | None, *, as_json: bool) -> None:
    """Show what was published and set for routes, when and by whom."""
    from bridge.profile_rollout import history  # noqa: PLC0415

    sys.exit(history(read_settings(config_file), name, as_json=as_json))


@profile.command("rerun")
@config_option
@json_option
@click.argument("case_id", metavar="[CASE]", required=False)
@click.option("--under", "profile", required=True, metavar="NAME[@REVISION]", help="The profile to make it under.")
@click.option("--made-under", metavar="REVISION", help="All cases that have this revision, instead of one case.")
@click.option("--dry-run", "is_dry", is_flag=True, help="Only list which cases would be made anew.")
@click.option("--no-wait", is_flag=True, help="Come back at once; casebridge profile reruns shows how far it is.")
def profile_rerun(config_file: Path | None, *, no_wait: bool, **choice: Any) -> None:
    """Make the images of CASE anew from its originals; texts, order and marks stay. A worker has to run."""
    from bridge.rerun_command import Choices, rerun  # noqa: PLC0415

    sys.exit(rerun(read_settings(config_file), Choices(waits=not no_wait, **choice)))


@profile.command("reruns")
@config_option
@json_option
@click.option("--case", "case_id", help="Of this case only.")
@click.option("--in-review", is_flag=True, help="Those that wait for an editor.")
def profile_reruns(config_file: Path | None, **choice: Any) -> None:
    """List the cases that were made anew, and what changed."""
    from bridge.rerun_command import list_reruns  # noqa: PLC0415

    sys.exit(list_reruns(read_settings(config_file), **choice))


@profile.command("decide")
@config_option
@click.argument("errand_id", metavar="RERUN")
@click.argument("what", type=click.Choice(("apply", "discard")))
def profile_decide(config_file: Path | None, errand_id: str, what: str) -> None:
    """Bring a re-run that waits for an editor into its case, or leave the case as it is."""
    from bridge.rerun_command import decide  # noqa: PLC0415

    sys.exit(decide(read_settings(config_file), errand_id, applies=what == "apply"))


@profile.command("schema")
def profile_schema() -> None:
    """Print the JSON Schema of the profile language, for editors."""
    from bridge.profile_command import print_schema  # noqa: PLC0415

    sys.exit(print_schema())


@profile.command("translate")
@click.argument("script", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", default="", help="Of the profile, for deid recipes.")
@click.option("--allow-loosening", default="", help="Why a deid recipe may keep what the Basic Profile would not.")
@click.option(
    "--report", type=click.Path(dir_okay=False, path_type=Path), help="Write what became of each line as JSON."
)
def profile_translate(script: Path, **choice: Any) -> None:
    """Print the profile that SCRIPT becomes: an anonymizer script of RSNA CTP, or a recipe of the deid package."""
    from bridge.profile_command import translate  # noqa: PLC0415

    sys.exit(translate(script, **choice))


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
