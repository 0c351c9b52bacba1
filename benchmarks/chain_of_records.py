"""Measures what the chain of records costs: an append, a verification and a backup of many runs.

    python benchmarks/chain_of_records.py --runs 10000

Each run folder holds a record and three files. They lie in a folder in memory where the system has one, so
that the program is measured and not the disk.
"""

from __future__ import annotations

import argparse
import datetime
import json
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, cast

from mfg.records.backup import write_backup
from mfg.records.chain import RecordChain
from mfg.records.record import Record
from mfg.records.run_folder import new_run_id, run_folder_name
from mfg.records.verification import snapshot_of, verify

SIZES = {"record.json": 150_000, "windows.csv": 30_000, "log.txt": 20_000, "factory.cfg": 500}  # of a run
MEMORY = Path("/dev/shm")
BEGIN = datetime.datetime(2026, 1, 5, 6, 0, tzinfo=datetime.UTC)
RUN_TIME = datetime.timedelta(minutes=2)
MAX_RATIO = 1.5  # time per run, of all runs against a tenth of them: linear


def add_run(chain: RecordChain, number: int, moment: datetime.datetime) -> float:
    """Write the folder of a run and put it on record; return how long the append took, in s."""
    run_id, serial = new_run_id(moment), f"SN{number:08d}"
    folder = chain.root / run_folder_name(serial, run_id)
    folder.mkdir(parents=True)
    record: dict[str, Any] = {"run_id": run_id, "serial_number": serial, "outcome": "PASS"}
    for name, size in SIZES.items():
        if name != "record.json":
            (folder / name).write_bytes(number.to_bytes(8, "big") * (size // 8))
    record["filling"] = "x" * SIZES["record.json"]
    (folder / "record.json").write_text(json.dumps(record))
    begin_s = time.perf_counter()
    chain.append(cast(Record, record), folder)
    return time.perf_counter() - begin_s


def measured_verification(root: Path) -> float:
    """Verify a folder that must be clean; return the time, in s."""
    begin_s = time.perf_counter()
    result = verify(snapshot_of(root))
    spent_s = time.perf_counter() - begin_s
    if result.findings:
        sys.exit(f"the records are not clean: {result.findings[:3]}")
    return spent_s


def main() -> None:
    """Print the figures; the exit code is 1 when the verification is not linear."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    runs = parser.parse_args().runs
    folder = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
    try:
        measure(folder, runs)
    finally:
        shutil.rmtree(folder)


def measure(folder: Path, runs: int) -> None:
    """Build up the records, verify them at a tenth and at the end, and back them up."""
    moment = BEGIN
    chain = RecordChain(folder / "records", folder / "keys", lambda: moment)
    appends_s: list[float] = []
    tenth_s = 0.0
    for number in range(1, runs + 1):
        moment += RUN_TIME
        appends_s.append(add_run(chain, number, moment))
        if number == runs // 10:
            tenth_s = measured_verification(chain.root)
    whole_s = measured_verification(chain.root)
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin_s = time.perf_counter()
    backup = write_backup(chain.root, folder / "backup.tar.gz")
    backup_s = time.perf_counter() - begin_s
    append_s = sorted(appends_s[-100:])[50]
    ratio = whole_s / tenth_s * (runs // 10) / runs
    size_mb = chain.path.stat().st_size / 1e6
    print(f"{runs} runs of {sum(SIZES.values()) / 1e3:.0f} kB; the chain has {size_mb:.1f} MB")
    print(f"append without the disk's sync: median {append_s * 1e3:.1f} ms of the last 100")
    print(f"verify: {whole_s:.2f} s, {whole_s / runs * 1e3:.2f} ms a run; peak {peak_kib / 1024:.0f} MiB")
    print(f"verify of a tenth: {tenth_s:.2f} s; time per run grew {ratio:.2f} times")
    print(f"backup, written, read back and verified: {backup_s:.1f} s, {backup.size / 1e6:.1f} MB")
    if ratio > MAX_RATIO:
        sys.exit(1)


if __name__ == "__main__":
    main()
