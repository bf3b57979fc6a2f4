from pathlib import Path

import pytest

from tests.faults.ledger import Ledger
from tests.tools import CHECKOUT


@pytest.fixture
def ledger(request: pytest.FixtureRequest) -> Ledger:
    """Where a test enters its rows of the table."""
    test = f"{Path(str(request.node.path)).relative_to(CHECKOUT)}::{request.node.originalname}"
    return Ledger(test, request.node.user_properties)
