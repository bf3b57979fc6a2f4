"""Which bytes a caller asks for, by the words of RFC 9110."""

import pytest

from api.errors import RangeNotSatisfiableError
from api.ranges import asked_range

TAG = '"3-0123456789abcdef"'


def asked(written, if_range=None, total=100):
    found = asked_range(written, if_range, tag=TAG, total=total)
    return None if found is None else (found.start, found.stop)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=10-19", (10, 20)),
        ("Bytes= 10-19 ", (10, 20)),
        ("bytes=99-", (99, 100)),
        ("bytes=50-1000", (50, 100)),
        ("bytes=-1", (99, 100)),
        ("bytes=-1000", (0, 100)),
        ("bytes=0-", (0, 100)),
        (None, None),
        ("", None),
        ("bytes=", None),
        ("bytes=-", None),
        ("bytes=20-10", None),
        ("bytes=a-b", None),
        ("bytes=\u0663-\u0665", None),
        ("bytes=0-1,5-6", None),
        ("frames=1-2", None),
        ("bytes=0-9999999999999999999999", None),
    ],
)
def test_one_range_is_given_and_what_is_none_is_passed_over(written, expected):
    assert asked(written) == expected


@pytest.mark.parametrize("written", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_what_begins_behind_the_end_is_refused_with_the_length(written):
    with pytest.raises(RangeNotSatisfiableError) as refused:
        asked(written)
    assert refused.value.headers == {"Content-Range": "bytes */100"}


@pytest.mark.parametrize(
    ("if_range", "is_part"),
    [
        (TAG, True),
        (f" {TAG} ", True),
        (f"W/{TAG}", False),
        ('"2-0123456789abcdef"', False),
        ("Wed, 21 Oct 2015 07:28:00 GMT", False),
    ],
)
def test_only_who_holds_a_part_of_the_same_gets_another(if_range, is_part):
    assert (asked("bytes=10-19", if_range) is not None) == is_part
    assert asked("bytes=1000-", '"another"') is None, "whatever it is, it is no part of this"


def test_the_field_of_the_answer_counts_from_0_and_names_the_last():
    found = asked_range("bytes=10-19", None, tag=TAG, total=100)
    assert found is not None
    assert found.content_range == "bytes 10-19/100"
