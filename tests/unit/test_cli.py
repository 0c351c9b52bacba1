"""The command's exit codes: what is nobody's fault at the unit never rejects it."""

import pytest

from mfg.cli import main
from mfg.errors import DutError, FixtureError, StationError, UsageError


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (UsageError("Wrong."), 2),
        (StationError("Broken."), 3),
        (FixtureError("Loose."), 3),
        (DutError("Bad."), 1),
        (KeyboardInterrupt(), 4),
        (OSError(24, "Too many open files"), 3),
        (ZeroDivisionError("division by zero"), 3),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_exit_code_says_who_must_act(monkeypatch, raised, code):
    def run(*_arguments):
        raise raised

    monkeypatch.setattr("mfg.commands.run.run", run)
    assert main(["run"]) == code


def test_a_failure_of_the_software_says_that_the_unit_is_not_judged(monkeypatch, capsys):
    def run(*_arguments):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("mfg.commands.run.run", run)
    main(["run"])
    said = capsys.readouterr()
    assert "Too many open files" in said.out
    assert "The unit is not judged" in said.out
    assert "Traceback" in said.err


@pytest.mark.parametrize("option", ["--past-due-by", "--uncertainty-waived-by", "--operator", "--firmware"])
def test_an_argument_that_is_no_text_is_refused_before_anything_is_done(capsys, option):
    """A terminal that is not set to UTF-8 sends half characters; no record could hold them."""
    assert main(["run", option, "J\udcfcrgen"]) == 2
    said = capsys.readouterr().out
    assert f"{option} is 'J\\udcfcrgen'" in said
    assert "Set the terminal to UTF-8" in said
