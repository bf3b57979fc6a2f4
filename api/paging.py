"""How lists are read on."""

from typing import Annotated

from fastapi import Query

MAX_LIMIT = 200
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Entries on a page.")]
Cursor = Annotated[str | None, Query(max_length=512, description="`next` of the page before.")]
