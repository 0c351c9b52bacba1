"""A run is on record from its line in the chain on; what fails after takes its verdict back."""

from __future__ import annotations

import pytest

from mfg.errors import StationError
from mfg.records.chain import RecordChain
from mfg.records.index import RecordIndex
from mfg.records.journal import Journal
from mfg.records.record import load_record, load_stored, write_record
from mfg.records.run_folder import RunFolder
from mfg.records.verification import snapshot_of, verify
from mfg.runner import storing
from mfg.runner.guard import Expectation, promise_facts
from mfg.runner.storing import finish, put_on_record

PHASE = "identify_unit"


@pytest.fixture
def run(tmp_path, make_record):
    """Give chain, run folder, record and journal of a run that failed, ready to be stored."""
    record = make_record(outcome="FAIL", outcome_reasons=["The test framework says FAIL."])
    first = next(phase for phase in record["phases"] if phase["name"] == PHASE)
    first["measurements"][0] |= {"value": "ASY1", "outcome": "FAIL"}
    first["outcome"] = "FAIL"
    expected = Expectation({PHASE: [entry["name"] for entry in first["measurements"]]}, {}, "none", {})
    record = record | {"phases": [first], "adjustments": [], "mac": ""}
    record["promise"] = promise_facts(expected, "FAIL", False, [])
    chain = RecordChain(tmp_path / "records", tmp_path / "keys")
    folder = RunFolder.create(chain.root, record["serial_number"], record["run_id"])
    folder.write("log.txt", b"log\n")
    return chain, folder, record, Journal.begin(chain.root, record["run_id"], {})


def findings(chain):
    return verify(snapshot_of(chain.root)).findings


def fail_once(monkeypatch, name):
    """Let something that stores fail the first time."""
    real, calls = getattr(storing, name), []

    def failing(*arguments):
        calls.append(1)
        if len(calls) == 1:
            raise StationError(f"{name} was refused.")
        return real(*arguments)

    monkeypatch.setattr(storing, name, failing)


def test_a_stored_run_is_in_the_chain_with_its_journal(run):
    chain, folder, record, journal = run
    stored = put_on_record(*run)
    assert stored == record
    link = chain.link_of(record["run_id"])
    assert sorted(link.files) == ["journal.jsonl", "log.txt"]
    assert not journal.path.exists()
    assert link.sha256 in (folder.path / "report.html").read_text()
    assert findings(chain) == []


@pytest.mark.parametrize("refused", ["write_report", "write_certificate"])
def test_a_verdict_is_taken_back_in_the_chain_when_its_pages_cannot_be_written(run, monkeypatch, refused):
    chain, folder, record, _journal = run
    fail_once(monkeypatch, refused)
    with pytest.raises(StationError, match="was refused"):
        put_on_record(*run)
    link = chain.link_of(record["run_id"])
    assert (link.sequence, link.supersedes, link.outcome) == (2, 1, "ERROR")
    assert refused in link.reason
    assert load_record(folder.path)["outcome"] == "ERROR"
    assert findings(chain) == []


def test_no_page_of_a_verdict_that_was_taken_back_is_left(run, monkeypatch):
    """A certificate of the first verdict would say PASS beside a record that says ERROR."""
    _chain, folder, _record, _journal = run
    page = folder.path / "certificate.html"
    add, calls = RecordIndex.add, []

    def locked_once(index, record, place):
        calls.append(record["outcome"])
        if len(calls) == 1:
            page.write_text("PASS")  # as `write_certificate` had for a run that passed
            raise StationError("The index is locked.")
        add(index, record, place)

    monkeypatch.setattr(RecordIndex, "add", locked_once)
    with pytest.raises(StationError, match="index is locked"):
        put_on_record(*run)
    assert calls == ["FAIL", "ERROR"]
    assert load_record(folder.path)["outcome"] == "ERROR"
    assert not page.exists()


def test_a_run_that_cannot_get_its_line_has_no_verdict(run, monkeypatch):
    chain, folder, record, journal = run

    def refused(*_arguments):
        raise StationError("The disk is full.")

    monkeypatch.setattr(RecordChain, "append", refused)
    with pytest.raises(StationError, match="disk is full"):
        put_on_record(*run)
    assert not chain.contains(record["run_id"])
    assert load_record(folder.path)["outcome"] == "ERROR"
    assert journal.path.exists()
    assert finish(chain, journal.path) is None


def test_a_run_that_was_killed_when_it_was_on_record_is_only_finished(run):
    chain, folder, record, journal = run
    write_record(folder, record)
    before = chain.append(load_stored(folder.path))
    journal.release()
    assert finish(chain, journal.path) == folder.path
    assert chain.head().sha256 == before.sha256
    assert (folder.path / "journal.jsonl").exists()
    assert not journal.path.exists()
    with RecordIndex(chain.root) as index:
        assert [row.outcome for row in index.runs()] == ["FAIL"]
    assert findings(chain) == []


@pytest.mark.parametrize("left", ["no record", "another record", "no line"])
def test_a_run_that_is_not_on_record_as_its_folder_holds_it_is_not_finished(run, left):
    chain, folder, record, journal = run
    write_record(folder, record)
    if left != "no line":
        chain.append(load_stored(folder.path))
    if left == "no record":
        (folder.path / "record.json").unlink()
    if left == "another record":
        write_record(folder, record | {"outcome": "ERROR"})
    assert finish(chain, journal.path) is None
    assert journal.path.exists()


def test_a_killed_run_that_was_not_closed_whole_is_closed_by_the_next_attempt(run, monkeypatch):
    chain, folder, record, journal = run
    facts = {"cause": "The runner died.", "last_event": "the run began", "acts": [], "journal": []}
    interrupted = {key: value for key, value in record.items() if key != "promise"}
    interrupted |= {"outcome": "INTERRUPTED", "outcome_reasons": ["The runner died."], "interruption": facts}
    interrupted["next_action"] = "Start the unit again."
    fail_once(monkeypatch, "write_report")
    with pytest.raises(StationError, match="was refused"):
        put_on_record(chain, folder, interrupted, journal)
    assert not (folder.path / "record.json").exists()
    assert finish(chain, journal.path) is None
    put_on_record(chain, folder, interrupted, journal)
    link = chain.link_of(record["run_id"])
    assert (link.supersedes, link.outcome, link.reason) == (1, "INTERRUPTED", "The runner died.")
    assert findings(chain) == []
