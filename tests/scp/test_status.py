import ast
from pathlib import Path

import pytest

import scp.errors
from scp.errors import PeerRulesError, ProtocolError, ScpError, SealBrokenError, SpoolKeyMissingError, TlsFilesError
from scp.status import COMMENT_LENGTH, Status, status_of

NO_ANSWER_TO_AN_OBJECT = {ProtocolError, PeerRulesError, SealBrokenError, SpoolKeyMissingError, TlsFilesError}


def _subclasses(kind: type[ScpError]) -> set[type[ScpError]]:
    return {kind for kind in kind.__subclasses__() if kind.__module__ == scp.errors.__name__}


def test_every_error_has_a_status_or_is_no_answer_to_an_object():
    for kind in _subclasses(ScpError):
        if kind in NO_ANSWER_TO_AN_OBJECT:
            with pytest.raises(LookupError):
                status_of(kind("x"))
        else:
            assert status_of(kind("x")) is not Status.SUCCESS


def test_every_error_is_drawn_in_the_tree():
    tree = scp.errors.__doc__ or ""

    assert [kind.__name__ for kind in _subclasses(ScpError) if kind.__name__ not in tree] == []


def test_every_comment_fits_into_its_element():
    kinds = {kind.__name__ for kind in _subclasses(ScpError) - NO_ANSWER_TO_AN_OBJECT}
    comments = []
    for path in Path(scp.errors.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in kinds and node.args:
                argument = node.args[0]
                if isinstance(argument, ast.Constant):
                    comments.append(argument.value)
                if isinstance(argument, ast.JoinedStr):
                    parts = [getattr(part, "value", "") for part in argument.values]
                    comments.append("".join(p if isinstance(p, str) else "Study Instance" for p in parts))
    assert len(comments) > 8
    assert [comment for comment in comments if len(comment) > COMMENT_LENGTH] == []
