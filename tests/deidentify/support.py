"""What the tests of the room share: the shipped profiles, a scope, and one instance's way through the engine."""

import io
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pydicom

from config import load_settings, profile_files
from deidentify.deidentifier import Deidentifier, HeaderPlan
from deidentify.profile import Profile
from deidentify.pseudonyms import PseudonymScope
from deidentify.results import DeidentifiedInstance, PixelVerdict, ScreenReport

PROFILES = Path(__file__).parents[2] / "config" / "profiles"
KEY = b"test key of thirty-two bytes ..."


@cache
def profile(name: str = "teaching") -> Profile:
    return Profile.from_yaml(shipped_text(name))


def shipped_text(name: str) -> str:
    """Return a shipped profile with those that it is built on."""
    return profile_files.profile_text(name, load_settings({}))


def scope(case: int = 1) -> PseudonymScope:
    return PseudonymScope(key=KEY, case_key=f"{case:032x}")


def clear_screen(plan: HeaderPlan) -> ScreenReport:
    """Return a screen that saw nothing, as a fake of the pixel screen."""
    frames = plan.description.frames
    verdict = PixelVerdict.CLEAR if plan.has_pixels else PixelVerdict.NO_PIXELS
    return ScreenReport(verdict=verdict, frames=frames, frames_read=frames)


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    plan: HeaderPlan
    instance: DeidentifiedInstance
    written: bytes

    @property
    def dataset(self) -> pydicom.Dataset:
        return pydicom.dcmread(io.BytesIO(self.written))


def deidentified(
    part10: bytes, *, profile_name: str = "teaching", case: int = 1, profile_text: str | None = None
) -> Way:
    """Take one file through plan, write and verify."""
    engine = Deidentifier(Profile.from_yaml(profile_text) if profile_text else profile(profile_name))
    source, target = io.BytesIO(part10), io.BytesIO()
    received = engine.read(source)
    assert engine.disposition(received) is None
    plan = engine.plan(received, scope(case))
    instance = engine.write(plan, clear_screen(plan), source, target)
    engine.verify(plan, target)
    return Way(plan=plan, instance=instance, written=target.getvalue())
