"""Records that were tampered with are found, in whatever way it was done; untouched ones are clean."""

from __future__ import annotations

import dataclasses
import datetime
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from chained_records import ChainedRecords
from hypothesis import given, settings
from hypothesis import strategies as st

from mfg.records.chain import RENDERED
from mfg.records.links import START, Link, read_link, sign_head
from mfg.records.run_folder import new_run_id
from mfg.records.station_key import load_key, make_key
from mfg.records.verification import Verification, snapshot_of, verify

EACH = settings(derandomize=True, deadline=None, max_examples=25)
PLACES = st.integers(0, 10**6)  # taken modulo whatever there is to choose from


@pytest.fixture(scope="session")
def good(tmp_path_factory, make_record) -> ChainedRecords:
    """Six runs over two days: one withdrawn, one of a unit that was not identified."""
    station = ChainedRecords(tmp_path_factory.mktemp("good") / "records", make_record)
    station.run()
    failed = station.run("SN00000002")
    station.run("SN00000003", outcome="FAIL")  # the last of its day
    station.withdraw(failed)
    station.run("")
    station.run("SN00000001", retest=True)
    station.run("SN00000004")
    return station


@pytest.fixture(scope="session")
def copy_of_good(good, tmp_path_factory) -> Callable[[], Path]:
    """Give copies of the good folder, each at the same place."""
    place = tmp_path_factory.mktemp("copy") / "records"

    def make() -> Path:
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(good.root, place)
        return place

    return make


def verified(root: Path, **kept: str) -> Verification:
    return verify(snapshot_of(root), **kept)


def covered_files(root: Path) -> list[Path]:
    return sorted(
        path
        for path in root.rglob("*")
        if path.is_file() and path.name not in RENDERED and ".locks" not in path.parts
    )


def links(root: Path) -> list[Link]:
    return [read_link(line) for line in (root / "chain.jsonl").read_bytes().splitlines()]


def write_chain(root: Path, new: list[Link]) -> list[Link]:
    """Number and link lines anew, as somebody would who knows the form but not the key."""
    done: list[Link] = []
    for number, link in enumerate(new, start=1):
        previous = done[-1].sha256 if done else START
        done.append(dataclasses.replace(link, sequence=number, previous=previous))
    (root / "chain.jsonl").write_bytes(b"".join(link.line + b"\n" for link in done))
    return done


def sign_all(root: Path, new: list[Link], keys: Path) -> None:
    key = make_key(keys)
    shutil.rmtree(root / "heads")
    (root / "heads").mkdir()
    for link in new:
        (root / "heads" / f"{link.utc[:10]}.json").write_bytes(sign_head(link, link.utc, key).content)


class TestCleanRecords:
    def test_nothing_is_found_in_untouched_records(self, good):
        result = verified(good.root)
        assert result.findings == []
        assert (result.runs, result.lines, result.proved) == (6, 7, 0)

    def test_every_head_that_was_ever_kept_is_proved(self, good):
        for link in links(good.root):
            result = verified(good.root, kept_head=link.sha256, kept_key=link.key)
            assert (result.findings, result.proved) == ([], link.sequence)

    def test_pages_that_are_rendered_again_change_nothing(self, copy_of_good):
        root = copy_of_good()
        for folder in root.glob("*/*Z-*"):
            for name in RENDERED:
                (folder / name).write_text("rendered again")
        assert verified(root).findings == []

    def test_a_run_that_goes_on_is_no_finding(self, copy_of_good):
        root = copy_of_good()
        going_on = root / "SN00000009" / new_run_id(datetime.datetime(2026, 11, 22, tzinfo=datetime.UTC))
        going_on.mkdir(parents=True)
        (going_on / "windows.csv").write_text("")
        assert verified(root).findings == []

    def test_what_a_power_cut_left_half_written_is_no_finding(self, copy_of_good):
        root = copy_of_good()
        for folder in (root / "heads", root / links(root)[0].folder):
            (folder / ".2026-11-21.json.0a1b2c3d.tmp").write_text("{")
        assert verified(root).findings == []

    def test_a_folder_without_any_record_is_clean(self, tmp_path):
        assert verified(tmp_path).findings == []

    def test_a_folder_that_cannot_be_written_is_verified_all_the_same(self, copy_of_good):
        root = copy_of_good()
        shutil.rmtree(root / ".locks")
        root.chmod(0o500)
        try:
            assert verified(root).findings == []
        finally:
            root.chmod(0o700)


class TestEveryCoveredFile:
    @EACH
    @given(file=PLACES, place=PLACES, change=st.integers(1, 255))
    def test_one_changed_byte_is_found(self, copy_of_good, file, place, change):
        path = self.pick(copy_of_good(), file)
        data = bytearray(path.read_bytes())
        data[place % len(data)] ^= change
        path.write_bytes(data)
        self.assert_found(path)

    @EACH
    @given(file=PLACES, place=PLACES, added=st.binary(min_size=1, max_size=8))
    def test_inserted_bytes_are_found(self, copy_of_good, file, place, added):
        path = self.pick(copy_of_good(), file)
        data = path.read_bytes()
        place %= len(data) + 1
        path.write_bytes(data[:place] + added + data[place:])
        self.assert_found(path)

    @EACH
    @given(file=PLACES, length=PLACES)
    def test_a_file_that_was_cut_short_is_found(self, copy_of_good, file, length):
        path = self.pick(copy_of_good(), file)
        data = path.read_bytes()
        path.write_bytes(data[: length % len(data)])
        self.assert_found(path)

    @EACH
    @given(file=PLACES)
    def test_a_deleted_file_is_found(self, copy_of_good, file):
        path = self.pick(copy_of_good(), file)
        path.unlink()
        self.assert_found(path)

    @EACH
    @given(first=PLACES, second=PLACES)
    def test_two_exchanged_files_are_found(self, copy_of_good, first, second):
        root = copy_of_good()
        one, other = self.pick(root, first), self.pick(root, second)
        if one.read_bytes() != other.read_bytes():
            data = one.read_bytes()
            one.write_bytes(other.read_bytes())
            other.write_bytes(data)
            assert verified(root).findings

    def test_a_file_of_a_run_that_became_a_link_is_found(self, copy_of_good):
        for path in covered_files(copy_of_good()):
            if path.parent.parent.parent.name == "records":
                path.symlink_to(path.rename(path.parent / f".{path.name}.tmp"))
                self.assert_found(path)

    @staticmethod
    def pick(root: Path, file: int) -> Path:
        files = covered_files(root)
        return files[file % len(files)]

    @staticmethod
    def assert_found(path: Path) -> None:
        """A finding says which run was touched, unless it is the chain or a signature that was."""
        root = next(parent for parent in path.parents if parent.name == "records")
        found = verified(root).findings
        assert found
        if path.parent.parent.parent == root:
            run = f"run {path.parent.parent.name}/{path.parent.name}: {path.name} "
            assert any(sentence.startswith(run) for sentence in found), found


class TestRunFolders:
    def test_a_deleted_run_is_found(self, copy_of_good):
        root = copy_of_good()
        for link in links(root):
            shutil.rmtree(root / link.folder, ignore_errors=True)
            assert (
                f"run {link.folder}: it is on record, and its folder is missing." in verified(root).findings
            )

    def test_an_added_run_is_found(self, copy_of_good):
        root = copy_of_good()
        link = links(root)[0]
        new = root / "SN00000001" / new_run_id(datetime.datetime(2026, 11, 22, tzinfo=datetime.UTC))
        shutil.copytree(root / link.folder, new)
        (sentence,) = verified(root).findings
        assert sentence.startswith(f"run SN00000001/{new.name} holds a record and is not in the chain")

    def test_an_added_file_is_found(self, copy_of_good):
        root = copy_of_good()
        folder = links(root)[2].folder
        (root / folder / "notes.txt").write_text("all fine")
        assert verified(root).findings == [f"run {folder}: notes.txt was added after the run was on record."]

    def test_an_added_folder_is_found(self, copy_of_good):
        root = copy_of_good()
        folder = links(root)[2].folder
        (root / folder / "more").mkdir()
        assert verified(root).findings == [f"run {folder}: more was added after the run was on record."]

    @EACH
    @given(first=st.integers(0, 5), second=st.integers(0, 5))
    def test_two_exchanged_runs_are_found(self, copy_of_good, first, second):
        root = copy_of_good()
        folders = sorted({link.folder for link in links(root)})
        if first != second:
            one, other = root / folders[first], root / folders[second]
            aside = one.rename(root / "aside")
            other.rename(one)
            aside.rename(other)
            found = verified(root).findings
            assert any(folders[first] in sentence for sentence in found)
            assert any(folders[second] in sentence for sentence in found)

    def test_the_record_before_a_withdrawal_is_not_accepted_any_more(self, copy_of_good, good):
        root = copy_of_good()
        withdrawn = next(link for link in links(root) if link.supersedes)
        path = root / withdrawn.folder / "record.json"
        path.write_bytes(path.read_bytes().replace(b'"outcome": "ERROR"', b'"outcome": "PASS"'))
        found = verified(root).findings
        assert found == [f"run {withdrawn.folder}: record.json was changed after the run was on record."]


class TestTheChain:
    @EACH
    @given(order=st.permutations(range(7)), relinked=st.booleans())
    def test_lines_that_were_moved_are_found(self, copy_of_good, order, relinked):
        root = copy_of_good()
        before = links(root)
        moved = [before[place] for place in order]
        if moved == before:
            return
        if relinked:
            write_chain(root, moved)
        else:
            (root / "chain.jsonl").write_bytes(b"".join(link.line + b"\n" for link in moved))
        assert verified(root).findings

    @EACH
    @given(removed=st.sets(st.integers(0, 6), min_size=1), relinked=st.booleans(), folders=st.booleans())
    def test_lines_that_were_removed_are_found(self, copy_of_good, removed, relinked, folders):
        root = copy_of_good()
        before = links(root)
        left = [link for place, link in enumerate(before) if place not in removed]
        if folders:
            for folder in {link.folder for link in before} - {link.folder for link in left}:
                shutil.rmtree(root / folder)
        if relinked:
            write_chain(root, left)
        else:
            (root / "chain.jsonl").write_bytes(b"".join(link.line + b"\n" for link in left))
        assert verified(root).findings

    @EACH
    @given(copied=st.integers(0, 6), place=st.integers(0, 7), relinked=st.booleans())
    def test_lines_that_were_inserted_are_found(self, copy_of_good, copied, place, relinked):
        root = copy_of_good()
        lines = links(root)
        lines.insert(place, lines[copied])
        if relinked:
            write_chain(root, lines)
        else:
            (root / "chain.jsonl").write_bytes(b"".join(link.line + b"\n" for link in lines))
        assert verified(root).findings

    @EACH
    @given(
        place=st.integers(0, 6),
        change=st.sampled_from(
            [
                {"outcome": "ABORTED"},
                {"utc": "2026-11-20T00:00:00.000Z"},
                {"record_sha256": "ab" * 32},
                {"files": {}},
                {"key": "cd" * 32},
                {"supersedes": 1, "reason": "so it was", "outcome": "ERROR"},
                {"supersedes": 99, "reason": "so it was", "outcome": "ERROR"},
            ]
        ),
        relinked=st.booleans(),
    )
    def test_lines_that_were_edited_are_found(self, copy_of_good, place, change, relinked):
        root = copy_of_good()
        lines = links(root)
        lines[place] = dataclasses.replace(lines[place], **change)
        if relinked:
            write_chain(root, lines)
        else:
            (root / "chain.jsonl").write_bytes(b"".join(link.line + b"\n" for link in lines))
        assert verified(root).findings

    def test_a_run_that_was_appended_without_the_key_is_found(
        self, copy_of_good, good, tmp_path, make_record
    ):
        root = copy_of_good()
        foreign = ChainedRecords(tmp_path / "records", make_record)
        foreign.now = good.now + datetime.timedelta(hours=1)
        link = foreign.run("SN00000005")
        shutil.copytree(foreign.root / link.folder, root / link.folder)
        write_chain(root, [*links(root), dataclasses.replace(link, key=links(root)[0].key)])
        assert any("added" in sentence and link.folder in sentence for sentence in verified(root).findings)

    def test_a_line_of_another_spelling_is_found(self, copy_of_good):
        root = copy_of_good()
        path = root / "chain.jsonl"
        path.write_bytes(path.read_bytes().replace(b'"sequence":7', b'"sequence": 7'))
        assert any(
            sentence.startswith("Line 7 of the chain cannot be read.") for sentence in verified(root).findings
        )

    def test_a_line_without_end_is_found_and_read_in_pieces(self, copy_of_good):
        root = copy_of_good()
        with (root / "chain.jsonl").open("ab") as file:
            file.write(b"x" * 300_000)
        assert any("cannot be read" in sentence for sentence in verified(root).findings)


class TestTheClock:
    def test_a_clock_that_was_put_back_is_found(self, tmp_path, make_record):
        station = ChainedRecords(tmp_path / "records", make_record)
        station.run()
        station.now -= datetime.timedelta(days=30)
        back = station.run()
        station.now += datetime.timedelta(days=60)
        station.run()
        (sentence,) = verified(station.root).findings
        assert f"run {back.folder}" in sentence
        assert "the clock was put back" in sentence

    def test_a_signature_older_than_its_line_is_found(self, copy_of_good, good):
        root = copy_of_good()
        link = links(root)[-1]
        head = sign_head(link, "2026-11-01T00:00:00.000Z", load_key(good.keys))
        (root / "heads" / f"{head.date}.json").write_bytes(head.content)
        (sentence,) = verified(root).findings
        assert "the clock was put back" in sentence


class TestSignatures:
    def test_a_day_without_its_signature_is_found(self, copy_of_good):
        for day in ("2026-11-20", "2026-11-21"):
            root = copy_of_good()
            (root / "heads" / f"{day}.json").unlink()
            (sentence,) = verified(root).findings
            assert sentence.startswith(f"The head of {day}, line ")

    def test_an_added_day_is_found(self, copy_of_good, good):
        root = copy_of_good()
        link = dataclasses.replace(links(root)[0], utc="2026-11-01T12:00:00.000Z")
        (root / "heads" / "2026-11-01.json").write_bytes(
            sign_head(link, link.utc, load_key(good.keys)).content
        )
        (sentence,) = verified(root).findings
        assert sentence.startswith("heads/2026-11-01.json: it signs line 1, but no line")

    def test_heads_signed_with_another_key_are_found(self, copy_of_good, tmp_path):
        root = copy_of_good()
        sign_all(root, links(root), tmp_path / "keys")
        found = verified(root).findings
        assert len(found) == 2
        assert all("not the station's" in sentence for sentence in found)

    def test_lines_that_name_another_key_from_somewhere_on_are_found(self, copy_of_good, tmp_path):
        root = copy_of_good()
        other = make_key(tmp_path / "keys").public
        lines = [
            dataclasses.replace(link, key=other) if n > 3 else link for n, link in enumerate(links(root))
        ]
        sign_all(root, write_chain(root, lines), tmp_path / "keys")
        assert any(
            sentence.startswith("Line 5, ") and other in sentence for sentence in verified(root).findings
        )

    def test_a_chain_written_anew_with_another_key_is_found_with_what_was_kept(self, copy_of_good, tmp_path):
        root = copy_of_good()
        before = links(root)
        other = make_key(tmp_path / "keys").public
        new = write_chain(root, [dataclasses.replace(link, key=other) for link in before])
        sign_all(root, new, tmp_path / "keys")
        assert verified(root).findings == []
        assert verified(root, kept_key=before[0].key).findings
        assert verified(root, kept_head=before[3].sha256).findings


class TestAKeptHead:
    """Who holds the station's own key can write everything anew; only what is kept elsewhere shows it."""

    @EACH
    @given(place=st.integers(0, 6), kept=st.integers(0, 6))
    def test_proves_every_line_up_to_its_own_against_the_stations_own_key(
        self, copy_of_good, good, place, kept
    ):
        root = copy_of_good()
        before = links(root)
        lines = list(before)
        lines[place] = dataclasses.replace(lines[place], serial_number="SN00000077")
        lines[place] = dataclasses.replace(lines[place], folder=f"SN00000077/{lines[place].run_id}")
        same_run = [n for n, link in enumerate(before) if link.run_id == before[place].run_id]
        for n in same_run:
            lines[n] = dataclasses.replace(
                lines[n], **{k: getattr(lines[place], k) for k in ("serial_number", "folder")}
            )
        (root / "SN00000077").mkdir()
        (root / before[place].folder).rename(root / lines[place].folder)
        sign_all(root, write_chain(root, lines), good.keys)
        assert verified(root).findings == []
        found = verified(root, kept_head=before[kept].sha256).findings
        assert bool(found) == (kept >= min(same_run))

    @EACH
    @given(left=st.integers(1, 6))
    def test_shows_that_the_end_was_cut_off(self, copy_of_good, good, left):
        root = copy_of_good()
        before = links(root)
        station = before[:left]
        kept = {link.folder for link in station}
        for folder in {link.folder for link in before} - kept:
            shutil.rmtree(root / folder)
        withdrawn = next(link for link in before if link.supersedes)
        if left in (2, 3):  # the withdrawn run is back at its first verdict, which its folder no longer holds
            shutil.rmtree(root / withdrawn.folder)
            station = [link for link in station if link.folder != withdrawn.folder]
        sign_all(root, write_chain(root, station), good.keys)
        assert verified(root).findings == []
        assert verified(root, kept_head=before[-1].sha256).findings
