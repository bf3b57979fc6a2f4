"""Let one tool de-identify a folder of generated cases, in a process of its own, in whichever environment it lives.

``python -m benchmarks.midib.apply TOOL IN OUT [--profile FILE]`` writes what is delivered at the same place below OUT
and prints one line of JSON: for each file what became of it.
"""

import contextlib
import hashlib
import io
import json
import logging
import os
import sys
import warnings
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path

__all__ = ["TOOLS", "Tool"]

Tool = Callable[[Path, Path, str], str]
"""Takes a file and the case it belongs to; returns "delivered", or why it is not."""


def casebridge(profile_file: str, *, has_screen: bool = False) -> Tool:
    """Return our engine as ``casebridge deidentify`` runs it, else with ``--no-pixels``."""
    from deidentify.deidentifier import Deidentifier
    from deidentify.errors import DeidentificationError
    from deidentify.pixels.screen import PixelScreener
    from deidentify.profile import Profile
    from deidentify.pseudonyms import PseudonymScope
    from deidentify.results import Dropped, PixelVerdict

    screener = PixelScreener() if has_screen else None
    deidentifier = Deidentifier(Profile.from_yaml(Path(profile_file).read_text()))

    def run(source: Path, target: Path, case: str) -> str:
        scope = PseudonymScope(key=bytes(range(32)), case_key=hashlib.sha256(case.encode()).hexdigest()[:32])
        made = io.BytesIO()
        try:
            with source.open("rb") as identified_file:
                header = deidentifier.read(identified_file)
                verdict = deidentifier.disposition(header)
                if verdict is not None:
                    return (
                        f"{'dropped' if isinstance(verdict, Dropped) else 'held'}: {verdict.reason}: {verdict.detail}"
                    )
                plan = deidentifier.plan(header, scope)
                screen = None
                if screener is not None:
                    identified_file.seek(0)
                    screen = screener.screen(identified_file, plan.identified_tokens)
                    if screen.verdict is PixelVerdict.SUSPECT:
                        return "held: the pixel screen found text"
                deidentifier.write(plan, screen, identified_file, made)
                deidentifier.verify(plan, made)
        except DeidentificationError as error:
            return f"held: {error.reason}: {error}"
        target.write_bytes(made.getvalue())
        return "delivered"

    return run


def dicognito(_profile: str) -> Tool:
    """Return dicognito as its command sets it up."""
    from dicognito.anonymizer import Anonymizer
    from pydicom import dcmread

    anonymizer = Anonymizer(seed="benchmark")

    def run(source: Path, target: Path, _case: str) -> str:
        with dcmread(source) as data:
            anonymizer.anonymize(data)
            data.save_as(target)
        return "delivered"

    return run


def deid(_profile: str) -> Tool:
    """Return deid with its default recipe, private elements removed."""
    with contextlib.redirect_stdout(io.StringIO()):
        from deid.config import DeidRecipe
        from deid.dicom import replace_identifiers
        from deid.logger import bot

        bot.level = 0
        recipe = DeidRecipe()

    def run(source: Path, target: Path, _case: str) -> str:
        replace_identifiers(
            dicom_files=[str(source)],
            deid=recipe,
            save=True,
            overwrite=True,
            output_folder=str(target.parent),
            remove_private=True,
        )
        return "delivered" if target.exists() else "failed: nothing was written"

    return run


def dicom_anonymizer(_profile: str) -> Tool:
    """Return dicom-anonymizer with its rules, private elements removed."""
    from dicomanonymizer import anonymize_dicom_file

    def run(source: Path, target: Path, _case: str) -> str:
        anonymize_dicom_file(str(source), str(target))
        return "delivered"

    return run


TOOLS: dict[str, Callable[[str], Tool]] = {
    "casebridge": casebridge,
    "casebridge, screened": partial(casebridge, has_screen=True),
    "deid": deid,
    "dicognito": dicognito,
    "dicom-anonymizer": dicom_anonymizer,
}


def main() -> None:
    """Run; see the module's docstring."""
    name, source, target = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    profile = sys.argv[sys.argv.index("--profile") + 1] if "--profile" in sys.argv else ""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    run = TOOLS[name](profile)
    outcomes: dict[str, str] = {}
    for file in sorted(source.rglob("*.dcm")):
        relative = file.relative_to(source)
        made = target / relative
        made.parent.mkdir(parents=True, exist_ok=True)
        try:
            outcome = run(file, made, relative.parts[0])
        except Exception as error:  # noqa: BLE001 - a tool that stumbles over a file has not delivered it
            made.unlink(missing_ok=True)
            outcome = f"failed: {type(error).__name__}"
        outcomes[relative.as_posix()] = outcome
    print(
        json.dumps({"tool": name, "version": version(name.partition(",")[0]), "outcomes": outcomes}),
        file=answers,
        flush=True,
    )


if __name__ == "__main__":
    main()
