import shutil
import stat
import threading

import pytest

from bridge.keys import Keys, Purpose, SecretError, check_folder, create_secret, load_keys


def test_a_secret_is_made_once_and_readable_by_its_owner_only(tmp_path):
    path = tmp_path / "deep" / "secret"
    create_secret(path)
    first = path.read_text()
    create_secret(path)
    assert path.read_text() == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["secret"]


def test_processes_that_start_together_agree_on_one_secret(tmp_path):
    path = tmp_path / "secret"
    seen = set()

    def start():
        create_secret(path)
        seen.add(path.read_text())

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 1


def test_the_keys_differ_and_are_stable(tmp_path):
    keys = Keys.derive(b"\x07" * 32)
    first = keys.of(1)
    values = {
        keys.name_key,
        keys.digest_key,
        *(first.subkey(purpose) for purpose in Purpose),
        bytes.fromhex(first.check),
    }
    assert len(values) == 3 + len(Purpose)
    assert keys == Keys.derive(b"\x07" * 32)


def test_a_repr_of_the_keys_shows_none_of_them():
    keys = Keys.derive(b"\x07" * 32)
    assert keys.name_key.hex() not in repr(keys)
    assert "key=" not in repr(keys)
    assert "secret=" not in repr(keys)


def test_a_missing_secret_is_not_replaced_by_a_new_one(tmp_path):
    with pytest.raises(SecretError, match="backup"):
        load_keys(tmp_path / "secret")
    assert not (tmp_path / "secret").exists()


def test_a_secret_open_to_others_is_refused_with_the_mend(tmp_path):
    path = tmp_path / "secret"
    create_secret(path)
    path.chmod(0o644)
    with pytest.raises(SecretError, match="chmod 600"):
        load_keys(path)


@pytest.mark.parametrize("text", ["", "00ff", "zz" * 32])
def test_a_damaged_secret_is_refused(tmp_path, text):
    path = tmp_path / "secret"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(SecretError, match="damaged"):
        load_keys(path)


def test_a_spool_written_under_one_secret_is_refused_under_another(tmp_path):
    ours, others = Keys.derive(b"\x07" * 32), Keys.derive(b"\x08" * 32)
    spool, record = tmp_path / "spool", tmp_path / "spool-in-use"
    check_folder(spool, others, record=record)
    spool.mkdir()
    check_folder(spool, ours, record=record)
    check_folder(spool, ours, record=record)
    with pytest.raises(SecretError, match="another secret"):
        check_folder(spool, others, record=record)
    assert stat.S_IMODE((spool / "secret.check").stat().st_mode) == 0o600
    assert [entry.name for entry in spool.iterdir()] == ["secret.check"]


def test_a_spool_whose_volume_is_not_mounted_is_not_begun_anew(tmp_path):
    ours = Keys.derive(b"\x07" * 32)
    spool, record = tmp_path / "spool", tmp_path / "spool-in-use"
    spool.mkdir()
    check_folder(spool, ours, record=record)
    spool.rename(tmp_path / "volume")
    for _ in ("without a folder", "with an empty mount point"):
        with pytest.raises(SecretError, match="is its volume mounted"):
            check_folder(spool, ours, record=record)
        spool.mkdir(exist_ok=True)
    assert not list(spool.iterdir())

    spool.rmdir()
    (tmp_path / "volume").rename(spool)
    check_folder(spool, ours, record=record)


def test_another_or_a_new_spool_can_be_chosen(tmp_path):
    ours = Keys.derive(b"\x07" * 32)
    old, new, record = tmp_path / "old", tmp_path / "new", tmp_path / "spool-in-use"
    for folder in (old, new):
        folder.mkdir()
        check_folder(folder, ours, record=record)
    shutil.rmtree(new)
    record.unlink()
    new.mkdir()
    check_folder(new, ours, record=record)
