"""What a unit says of its files: every one, by size and SHA-256, and nothing of their contents."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

import pytest
from test_app_trial import upload
from vm_unit import PASSPHRASE, STA_CONFIG, VmUnit, built

FILES = {"/this.machine.cfg": json.dumps(STA_CONFIG).encode()}
FREE_HEAP_BYTES = 60 * 1024


@pytest.fixture(scope="module")
def unit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VmUnit]:
    with VmUnit(tmp_path_factory.mktemp("unit"), FILES, 5.0) as running:
        running.ready()
        yield running


def snapshot(unit: VmUnit) -> dict[str, tuple[int, str]]:
    entries = unit.get("/get_snapshot")["FILES"]
    found = {path: (size, sha256) for path, size, sha256 in entries}
    assert len(found) == len(entries)
    return found


def of(data: bytes) -> tuple[int, str]:
    return len(data), hashlib.sha256(data).hexdigest()


def test_a_snapshot_holds_every_file_and_folder_with_what_is_in_it(unit):
    found = snapshot(unit)
    assert list(found) == unit.get("/get_file_list")
    for file in built().files:
        assert found[file.path_on_unit] == of(file.data), file.path_on_unit
    assert found["/app1/"] == found["/app2/"] == (0, "")


def test_a_changed_an_added_and_a_removed_file_show_and_nothing_else_does(unit):
    upload(unit, "/spare/a.bin", bytes(range(256)) * 20)
    upload(unit, "/spare/b.bin", b"")
    before = snapshot(unit)
    assert before["/spare/a.bin"] == of(bytes(range(256)) * 20)
    assert before["/spare/b.bin"] == of(b"")
    unit.get("/rmfile?file=/spare/b.bin")
    upload(unit, "/spare/a.bin", b"x")
    upload(unit, "/spare/c.bin", b"y")
    after = snapshot(unit)
    assert {path for path in {*before, *after} if before.get(path) != after.get(path)} == {
        "/spare/a.bin",
        "/spare/b.bin",
        "/spare/c.bin",
    }


def test_a_file_with_a_secret_is_compared_without_leaving_the_unit(unit):
    reply = unit.exchange(b"GET /get_snapshot HTTP/1.0\r\n\r\n")
    assert PASSPHRASE.encode() not in reply
    before = snapshot(unit)["/this.machine.cfg"]
    unit.get("/set_config?CT1_NAME=oven")
    changed = snapshot(unit)["/this.machine.cfg"]
    unit.get("/set_config?CT1_NAME=")
    assert snapshot(unit)["/this.machine.cfg"] == before != changed


def test_the_hash_of_one_file_comes_under_the_name_as_it_was_sent(unit):
    data = b"hello\n" * 700
    upload(unit, "/spare/note.txt", data)
    size, sha256 = of(data)
    assert unit.get("/get_hash?file=spare//note.txt") == {
        "OK": True,
        "spare//note.txt": {"BYTES": size, "SHA256": sha256},
    }
    for path in ("/none", "/app1", ""):
        status, reply = unit.get_status(f"/get_hash?file={path}")
        assert status != 200
        assert set(reply) == {"ERROR"}


def test_any_number_of_files_is_listed_and_the_offline_application_with_them_removed(tmp_path):
    many = {f"/app2/{number}": b"x" * (number % 3) for number in range(150)}
    with VmUnit(tmp_path, FILES | many, 5.0) as unit:
        unit.ready()
        found = snapshot(unit)
        assert {path: found[path] for path in many} == {path: of(data) for path, data in many.items()}
        assert list(found) == unit.get("/get_file_list")
        assert unit.get("/erase_offline_app") == {"OK": True}
        assert not [path for path in snapshot(unit) if path.startswith("/app2")]


def test_a_listing_that_breaks_off_is_no_json(tmp_path):
    deep = "/app2/" + "/".join("abcdefghi") + "/file"
    with VmUnit(tmp_path, FILES, 5.0) as unit:
        unit.ready()
        upload(unit, deep, b"x")
        for path in ("/get_snapshot", "/get_file_list"):
            with pytest.raises(json.JSONDecodeError):
                unit.get(path)
        assert "ERROR" not in unit.get("/get_stats")


def test_snapshots_and_hashes_leave_the_heap_as_it_was(unit):
    snapshot(unit)
    before = unit.free_heap_bytes()
    for _ in range(10):
        snapshot(unit)
        unit.get("/get_hash?file=/main.py")
        unit.get("/get_app_state")
        unit.get("/wifi_scan")
    after = unit.free_heap_bytes()
    assert after > before - 2048
    assert after >= FREE_HEAP_BYTES
