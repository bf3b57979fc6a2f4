"""Entity tags by RFC 9110 §13.1."""

import pytest

from api.errors import PreconditionFailedError
from api.etags import expected_version, is_held, tag_of


def test_a_tag_changes_with_the_answer_and_begins_with_the_version():
    assert tag_of("a", version=3) != tag_of("b", version=3)
    assert expected_version(tag_of("a", version=3)) == expected_version(tag_of("b", version=3)) == 3


@pytest.mark.parametrize("wrap", ["{}", "W/{}", '"other", {}', '{}, W/"other"', "*"])
def test_a_held_tag_is_found_in_every_form(wrap):
    tag = tag_of(b"a")
    assert is_held(wrap.format(tag), tag)


@pytest.mark.parametrize("header", [None, "", '"other"', "other"])
def test_another_tag_is_not_held(header):
    assert not is_held(header, tag_of(b"a"))


def test_of_several_tags_the_newest_decides():
    assert expected_version(f"{tag_of('a', version=3)}, {tag_of('b', version=7)}") == 7


@pytest.mark.parametrize("header", ["", "7", '"7"', '"x-0123456789abcdef"', tag_of("a")])
def test_a_tag_of_something_else_never_matches(header):
    with pytest.raises(PreconditionFailedError):
        expected_version(header)
