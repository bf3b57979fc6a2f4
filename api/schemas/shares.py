"""Links to unlisted cases on the wire."""

from datetime import datetime

from pydantic import Field

from api.schemas.common import ID_EXAMPLE, Answer, Body, Label
from cases.shares import DEFAULT_DAYS, MAX_DAYS


class ShareOut(Answer):
    """A link without its token."""

    id: str = Field(examples=[ID_EXAMPLE])
    label: str = Field(examples=["tumor board"])
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = Field(description="When it was ended, by somebody or as the case left publication.")
    last_used_at: datetime | None
    uses: int = Field(examples=[3], description="How often the case was opened by it.")


class NewShare(Body):
    """A link to be made."""

    label: Label = Field(examples=["tumor board"], description="For you alone, so that you know which link it is.")
    days: int = Field(DEFAULT_DAYS, ge=1, le=MAX_DAYS, description="After how many days it ends.")


class NewShareOut(Answer):
    """A new link; its token is in this answer and never seen again."""

    token: str = Field(examples=["Zm9yLWV4YW1wbGUtb25seS1ub3QtYS1yZWFsLXRva2Vu"])
    path: str = Field(
        examples=["/api/v1/shared/Zm9yLWV4YW1wbGUtb25seS1ub3QtYS1yZWFsLXRva2Vu"],
        description="Where the case is read without an account. Whoever has it can read the case.",
    )
    link: ShareOut
