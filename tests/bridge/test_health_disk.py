from bridge.health import BridgeReadiness
from scp.spool import Spool
from tests.scp.conftest import NAME_KEY
from tests.scp.test_spool import WatchedDisk


def warnings(tmp_path, free: int) -> tuple[str, ...]:
    disk = WatchedDisk(free=free)
    spool = Spool(tmp_path / "spool", name_key=NAME_KEY, reserve_bytes=1000, disk=disk)
    spool.prepare()
    readiness = BridgeReadiness(database=None, blobs=None, spool=spool, peers=None)
    return tuple(readiness._disk_warnings())


def test_a_disk_is_warned_about_between_its_reserve_and_twice_that(tmp_path):
    assert warnings(tmp_path, 2001) == ()
    [warning] = warnings(tmp_path, 1999)
    assert "nearly at its reserve" in warning
    assert warnings(tmp_path, 999) == ()  # a fault by then


def test_a_spool_that_is_not_there_is_no_warning(tmp_path):
    spool = Spool(tmp_path / "nowhere", name_key=NAME_KEY, reserve_bytes=1000)

    assert BridgeReadiness(database=None, blobs=None, spool=spool, peers=None)._disk_warnings() == ()
