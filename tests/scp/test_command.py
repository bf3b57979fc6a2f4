import pytest
from hypothesis import given
from hypothesis import strategies as st

from scp.command import encode_response, parse_command, pdata
from scp.errors import ProtocolError
from tests.scp.wire import element, store_rq, us


def test_a_store_request_is_read():
    command = parse_command(store_rq("1.2.3", "1.2.3.4", message_id=9))

    assert (command.operation, command.message_id, command.has_data_set) == (1, 9, True)
    assert command.identified_sop_instance == b"1.2.3.4\0"
    assert "1.2.3.4" not in repr(command)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        store_rq("1.2", "1.2")[:-1],
        us(0x0100, 1),
        us(0x0800, 0),
        element(0x0100, b"\1\0\0\0") + us(0x0800, 0),
        b"\x08\0\0\0\0\0\0\0",
    ],
)
def test_what_is_no_command_set_breaks_the_protocol(data):
    with pytest.raises(ProtocolError):
        parse_command(data)


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(data):
    try:
        parse_command(data)
    except ProtocolError:
        return


def test_missing_and_overlong_uids_are_left_out_of_the_response():
    command = parse_command(us(0x0100, 1) + us(0x0800, 0) + element(0x0002, b"1" * 80))

    response = parse_command(encode_response(command, 0xC000, "x" * 100))

    assert response.sop_class == b""
    assert response.operation == 0x8001


def test_a_response_is_split_for_a_peer_with_small_pdus():
    pdus = pdata(5, b"x" * 100, 46)

    assert pdus.count(b"x") == 100
    assert len(pdus) == 100 + 3 * 12
