"""What a killed job had begun is taken back on its own unit, and on no other."""

from __future__ import annotations

import contextlib
import hashlib
import json
from types import SimpleNamespace

import pytest
from phase_fakes import call, traveller

from mfg.fixtures.dut_apps import FileProof
from mfg.fixtures.traveller import Interrupted
from mfg.phases.settle_interrupted import settle_interrupted

LABEL = "ASY0398_V003.200_SN00001823"
OURS, OTHER = "SN00001823", "SN00000009"


def configuration(**keys):
    return json.dumps({"ASSY": LABEL, "APP": 2, "CT1_NAME": "oven", **keys}).encode()


class Repl:
    """A prompt of a unit that is a dictionary of files; the scripts for whole units are done here."""

    def __init__(self, files):
        self.files = files

    def exists(self, path):
        return path in self.files

    def read_file(self, path, _limit_bytes):
        return self.files[path]

    def write_file(self, path, data):
        self.files[path] = data

    def exec(self, code, _timeout_s):
        if "_walk" in code:
            entries = [[p, len(c), hashlib.sha256(c).hexdigest()] for p, c in sorted(self.files.items())]
            return "\n".join([*map(json.dumps, entries), "END"])
        if "_drop" in code:
            gone = [path for path in self.files if path.startswith("/app2/") or ".try" in path]
        else:
            gone = [path for path in self.files if path.endswith(".kept")]
            self.files |= {path.removesuffix(".kept"): self.files[path] for path in gone}
        for path in gone:
            del self.files[path]
        return ""


def settled(files, begun, prompt=Repl):
    """Call the phase; return what it measured."""
    console = SimpleNamespace(lines=lambda: [SimpleNamespace(text="DEBUG: wifiConfigDict: {}")])

    @contextlib.contextmanager
    def repl(_timeout_s):
        yield prompt(files)

    port = SimpleNamespace(console=lambda _timeout_s: console, repl=repl)
    return call(settle_interrupted, traveller=traveller(interrupted=begun), port=port)


def test_the_old_application_runs_alone_again_with_its_settings():
    files = {
        "/this.machine.cfg": configuration(CT1_NAME=""),
        "/app1/app.mpy": b"old",
        "/app2/app.mpy": b"new",
        "/app2.try2": b"",
    }
    measured = settled(files, Interrupted(OURS, "/app1", settings={"CT1_NAME": "oven", "ASSY": LABEL}))
    assert measured == {"application_after": "old", "returned_unit": "not concerned"}
    assert set(files) == {"/this.machine.cfg", "/app1/app.mpy"}
    assert json.loads(files["/this.machine.cfg"]) == {"ASSY": LABEL, "APP": 1, "CT1_NAME": "oven"}


def test_an_application_that_was_proved_stays_and_is_on_trial_no_more():
    files = {"/this.machine.cfg": configuration(), "/app2/app.mpy": b"new", "/app2.try2": b""}

    class Kept(Repl):
        def exec(self, code, _timeout_s):
            assert "'app1' in os.listdir" in code
            self.files.pop("/app2.try2")
            return ""

    begun = Interrupted(OURS, "/app2", proved=True)
    assert settled(files, begun, Kept)["application_after"] == "new"
    assert set(files) == {"/this.machine.cfg", "/app2/app.mpy"}
    assert json.loads(files["/this.machine.cfg"])["APP"] == 2


def test_a_returned_unit_gets_its_files_back_and_what_still_differs_is_named():
    came = configuration()
    proof = FileProof(len(came), hashlib.sha256(came).hexdigest())
    files = {"/this.machine.cfg": b'{"WIFI": "of the bench"}', "/this.machine.cfg.kept": came}
    begun = Interrupted(OURS, copies=True, came_with={"/this.machine.cfg": proof})
    assert settled(files, begun)["returned_unit"] == "as it came"
    assert files == {"/this.machine.cfg": came}
    files["/x"] = b""
    assert settled(files, begun)["returned_unit"] == "/x is new"


@pytest.mark.parametrize(
    "begun", [Interrupted(OTHER, "/app1"), Interrupted(OTHER, copies=True, came_with={})]
)
def test_another_unit_in_the_slot_is_not_touched(begun):
    files = {"/this.machine.cfg": configuration(), "/app2/app.mpy": b"its own"}
    before = dict(files)
    assert settled(files, begun)["application_after"] == "another unit: not touched"
    assert files == before


def test_a_unit_whose_label_cannot_be_read_is_not_touched():
    files = {"/this.machine.cfg": configuration(ASSY="scratched")}
    assert (
        settled(dict(files), Interrupted(OURS, "/app1"))["application_after"] == "another unit: not touched"
    )


def test_a_run_that_had_begun_none_of_this_is_no_reason_to_open_the_port():
    assert set(settled({}, None).values()) == {"not concerned"}
