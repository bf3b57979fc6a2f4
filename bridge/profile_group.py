"""``casebridge profile``: its commands and their options. Each imports what it needs when it runs."""

import sys
from pathlib import Path
from typing import Any

import click

from bridge.command_options import config_option, json_option, read_settings


@click.group()
def profile() -> None:
    """Write, try and publish de-identification profiles, and make cases anew under them."""


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
