"""A `deid` recipe beside a profile: what it is, and what became of its lines there."""

from dataclasses import dataclass, field

from deidentify.recipe_filters import Filters
from deidentify.recipe_text import Recipe
from deidentify.rules import Rule
from deidentify.translation import Outcome, TranslatedLine


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeBeside:
    """A recipe as a profile names it."""

    file: str
    profile: str
    """The profile that names it, where another one is built on that; else empty."""
    recipe: Recipe = field(repr=False, compare=False)
    filters: Filters = field(repr=False, compare=False)
    """What its filters hold, whatever the profile says."""
    allow_loosening: str = ""
    """Why its lines may keep what the profile would not; without it none does."""

    @property
    def called(self) -> str:
        """What it is called where lines of several texts are listed."""
        return f"{self.profile}, {self.file}" if self.profile else self.file

    def place(self, number: int) -> str:
        """Return where a line of it stands, for people."""
        return f"{self.called}, line {number}"

    def fault(self, sentence: str) -> str:
        """Return a fault that begins with a line as one of this recipe."""
        return f"{self.called}, {sentence}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeUse:
    """What became of a recipe's lines in a profile."""

    called: str
    allow_loosening: str
    lines: tuple[TranslatedLine, ...]
    """All lines that are not empty."""
    loosened: tuple[int, ...]
    """Lines by which more is kept than without the recipe."""

    @property
    def not_taken(self) -> tuple[TranslatedLine, ...]:
        """The lines that asked for something that the profile does not do, or not for all that they name."""
        return tuple(line for line in self.lines if line.outcome is Outcome.NOT_TRANSLATED or not line.is_whole)

    @property
    def without_effect(self) -> tuple[TranslatedLine, ...]:
        """The lines that changed nothing, since the profile does as much; not headings and comments."""
        idle = (Outcome.SAME, Outcome.POLICY, Outcome.DISABLED)
        return tuple(line for line in self.lines if line.outcome in idle and not _says_nothing(line))


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """What one profile says by rules: those of its recipe, and behind them its own."""

    recipe: RecipeBeside | None
    rules: tuple[Rule, ...]


def _says_nothing(line: TranslatedLine) -> bool:
    """Tell whether a line is a heading or a comment."""
    is_heading = line.source.startswith("%") or line.source[:6].upper() == "FORMAT"
    return line.outcome is Outcome.DISABLED and (is_heading or line.source.startswith("#"))
