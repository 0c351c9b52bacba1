"""The sessions that people and CI share; `nox` alone runs what must be green, those named first below."""

import os
import shutil
from pathlib import Path

import nox

nox.options.sessions = ["lint", "types", "tests", "jobs", "faults"]
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_missing_interpreters = True

# On pytest 9.2 pytest-xdist 3.8 keeps no group together, and says nothing: each worker starts its own unit.
TEST_TOOLS = ["pytest>=8,<9.2", "pytest-cov", "pytest-timeout", "pytest-xdist", "hypothesis"]
# What a unit talks to in its tests: a broker, the loader of the existing CT6 tools, and network namespaces.
PEERS = ["amqtt>=0.11,<1", "rshell==0.0.36", "pyroute2>=0.9,<1"]
STUBS = ["types-PyYAML", "types-pyserial", "pandas-stubs"]
# The pure parts: every branch of what can reject a unit is tested.
FULLY_COVERED = ["mfg.calibration", "mfg.limits"]
COVERING = ["tests/unit/calibration", "tests/unit/limits"]
# On two cores: half of the time they wait, for a virtual machine or for bench time.
SHARED_OUT = ["-n", "3", "--dist", "loadgroup"]


def _install(session: nox.Session, *packages: str) -> None:
    """Install what a session needs; what it imports is compiled once, when it is first imported.

    Also where the environment says not to keep compiled modules: some sessions start hundreds of processes.
    """
    session.env["PYTHONDONTWRITEBYTECODE"] = ""
    session.install("--no-compile", *packages)


@nox.session
def demo(session: nox.Session) -> None:
    """Run a whole unit on the emulated bench and say where its report is."""
    _install(session, "-e", ".[emulator]")
    station = ["--station", "station.yaml"]
    labels = ["--assembly", "ASY0398V03.2", "--serial", "SN00001823"]
    session.run("mfg", "run", *station, *labels, *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and the directions of imports."""
    _install(session, "ruff==0.17.*", "import-linter==2.*", "-e", ".[emulator]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports")


@nox.session
def types(session: nox.Session) -> None:
    """Check types, strictly."""
    _install(session, "mypy==2.*", *STUBS, "-e", ".[emulator]")
    session.run("mypy")


@nox.session
def tests(session: nox.Session) -> None:
    """Run every test that needs no hardware: units first, then whole plans on the emulated bench."""
    _install(session, "-e", ".[emulator]", *TEST_TOOLS, *PEERS)
    if session.posargs:
        session.run("pytest", *session.posargs)
        return
    coverage = [f"--cov={package}" for package in FULLY_COVERED]
    whole = ["--cov-branch", "--cov-fail-under=100", "--cov-report=term"]
    session.run("pytest", "-n", "2", *COVERING, *coverage, *whole)
    others = [f"--ignore={folder}" for folder in COVERING]
    session.run("pytest", *SHARED_OUT, "tests/unit", "tests/faults", *others)
    session.run("pytest", *SHARED_OUT, "-m", "not job", "tests/bench", "tests/hardware")


@nox.session
def faults(session: nox.Session) -> None:
    """Inject every fault of the catalogue alone, and a sample of pairs; fail when one escapes."""
    _install(session, "-e", ".[emulator]")
    session.run("python", "tests/faults/coverage_run.py", *session.posargs)


@nox.session
def kills(session: nox.Session) -> None:
    """Kill a run at every line of its journal; the tests take a sample of that."""
    _install(session, "-e", ".[emulator]", *TEST_TOOLS)
    # The older family of the format holds the measured times.
    report = ["--junitxml=kills.xml", "-o", "junit_family=xunit1"]
    session.run("pytest", *report, "tests/bench/every_kill.py", *session.posargs)


@nox.session
def jobs(session: nox.Session) -> None:
    """Run the jobs on running units of both kinds, and what may happen to the unit in them."""
    _install(session, "-e", ".[emulator]", *TEST_TOOLS, *PEERS)
    session.run("pytest", *SHARED_OUT, "-m", "job", "tests/bench", *session.posargs)


@nox.session
def job_faults(session: nox.Session) -> None:
    """Run every job on both kinds of unit with everything that may happen to it; `jobs` takes a sample.

    Runs that are killed are among it. About 30 minutes on two cores; one job alone:
    `nox -s job_faults -- -k upgrade`.
    """
    _install(session, "-e", ".[emulator]", *TEST_TOOLS)
    session.run("pytest", "-v", *SHARED_OUT, "tests/bench/every_job_fault.py", *session.posargs)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Try the parsers' properties on thousands of new examples, then fuzz by coverage where atheris runs.

    Seconds for the second part: `nox -s fuzz -- 600`. What it finds becomes a named test.
    """
    _install(session, "-e", ".[emulator]", *TEST_TOOLS)
    many = ["--hypothesis-profile=fuzz", "--timeout=3600"]
    session.run("pytest", "-n", "2", "tests/unit", "-k", "any_input or untrusted or restorable", *many)
    session.run("python", "-m", "pip", "install", "-q", "atheris", success_codes=[0, 1], silent=True)
    if session.run("python", "-c", "import atheris", success_codes=[0, 1], silent=True):
        session.warn("atheris has no wheel for this Python: the parsers were not fuzzed by coverage.")
        return
    seconds = session.posargs[0] if session.posargs else "120"
    session.run("python", "tests/fuzz/parsers.py", session.create_tmp(), f"-max_total_time={seconds}")


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Measure the figures that the project promises, against their peers, in one run."""
    _install(session, "-e", ".[emulator]")
    session.run("python", "benchmarks/calibration_accuracy.py", "--ports", "1000", "--benches", "4")
    session.run("python", "benchmarks/journal_cost.py")
    session.run("python", "benchmarks/chain_of_records.py", "--runs", "10000")
    session.run("python", "benchmarks/loader_speed.py", "--backend", "unix", *session.posargs)
    if os.environ.get("MFG_UF2_DIR"):
        session.run("python", "benchmarks/loader_speed.py", "--backend", "rp2040", *session.posargs)


@nox.session
def wheel(session: nox.Session) -> None:
    """Build the wheel and run the command from it, away from the checkout."""
    _install(session, "build")
    session.run("python", "-m", "build", "--wheel", "--outdir", "dist", ".")
    newest = max(Path("dist").glob("*.whl"), key=lambda path: path.stat().st_mtime)
    _install(session, f"{newest}[emulator]")
    folder = session.create_tmp()
    shutil.copyfile("station.yaml", f"{folder}/station.yaml")
    session.chdir(folder)
    session.run("mfg", "doctor")
