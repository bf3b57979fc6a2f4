"""The table of docs/settings.md, made from the code."""

from config import Settings
from tests.tools import CHECKOUT

PAGE = CHECKOUT / "docs/settings.md"
BEGIN, END = "compares it with config/settings.py -->\n", "<!-- /settings -->"


def table() -> str:
    rows = ["| Setting | Default | Meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        extra = field.json_schema_extra
        assert isinstance(extra, dict)
        rows.append(f"| `{name}` | {extra['shown'] or shown(field.default)} | {field.description} |")
    return "\n".join(rows)


def shown(default: object) -> str:
    text = str(default).lower() if isinstance(default, bool) else str(default)
    return f"`{text}`"


def with_table(text: str) -> str:
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    return f"{before}{BEGIN}\n{table()}\n\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text()))
