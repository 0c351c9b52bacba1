"""Builds records for the tests of the store and of the reports."""

from __future__ import annotations

import copy
from typing import Any

import calibrated_record

from mfg.records.adjustments import adjustments_of_phases
from mfg.records.record import Record, validate_record

RUN_ID = "20261120T120354.123Z-3f9a1c"
SHA = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
# Case, phase, seconds, measurements (name, value, unit, low, high, expected).
PHASES: list[tuple[int | None, str, float, list[tuple[Any, ...]]]] = [
    (
        1000,
        "identify_unit",
        2.1,
        [
            ("assembly", "ASY0398V03.2", "", None, None, "/ASY0398V\\d{1,2}\\.\\d{1,4}/"),
            ("version", 3.2, "", 1.6, 99.0, None),
            ("serial", "SN00001823", "", None, None, "/SN\\d{8}/"),
        ],
    ),
    (None, "switch_supply_on", 2.4, [("supply_on_v", 12.06, "V", 9.0, 16.0, None)]),
    (2000, "archive_unit", 0.3, [("unit_state", "blank", "", None, None, "/blank|bare|calibrated/")]),
    (
        3000,
        "erase_flash",
        4.2,
        [
            ("erase_image", f"emulator-erase 1.0 sha256 {SHA}", "", None, None, "/.+ sha256 [0-9a-f]{64}/"),
            ("erase_s", 4.115, "s", 0.0, 30.0, None),
            ("drive_returned", True, "", None, None, True),
        ],
    ),
    (4000, "load_micropython", 6.0, [("micropython_runs", True, "", None, None, True)]),
    (
        5000,
        "load_firmware",
        9.8,
        [
            ("firmware_files", 14, "", 5, 60, None),
            ("load_bytes_per_s", 88213.4, "bytes/s", 1000, 10000000, None),
            ("address", "10.0.0.2", "", None, None, "/\\d{1,3}(\\.\\d{1,3}){3}/"),
            ("free_heap_bytes", 91248, "bytes", 60000, 260000, None),
            ("mac", "28:cd:c1:00:00:01", "", None, None, "/([0-9a-f]{2}:){5}[0-9a-f]{2}/"),
        ],
    ),
    (6000, "check_board_temperature", 0.4, [("board_above_ambient_degc", 1.47, "°C", -3.0, 8.0, None)]),
    (
        7000,
        "check_leds",
        4.0,
        [("green_seen", True, "", None, None, True), ("led_repeats", 0, "", 0, 1, None)],
    ),
    (8000, "check_wifi_switch", 1.6, [("press_seen", True, "", None, None, True)]),
    (
        9000,
        "check_power_cycle",
        9.1,
        [("off_s", 5.02, "s", 2.0, 10.0, None)]
        + [(f"port{port}_after_cycle_v", 231.4 + port / 50, "V", 200.0, 260.0, None) for port in range(1, 7)],
    ),
    (10000, "check_display", 1.2, [("display_right", True, "", None, None, True)]),
    (11000, "write_label", 0.4, [("label", "ASY0398_V003.200_SN00001823", "", None, None, "/ASY0398_V.*/")]),
    (
        12000,
        "adjust_gains",
        11.7,
        [
            (name, value, unit, low, high, None)
            for port, before, gain in zip(
                range(1, 7),
                (1.32, -2.41, 0.37, 3.05, -0.84, -1.66),
                (42157, 43775, 42563, 41456, 43082, 43441),
                strict=True,
            )
            for name, value, unit, low, high in (
                (f"port{port}_before_pct", before, "%", -5.0, 5.0),
                (f"port{port}_igain", gain, "counts", 40584, 44856),
                (f"port{port}_ioffset", 0, "counts", -32768, 32767),
            )
        ]
        + [
            ("cs4_voltage_before_pct", 0.81, "%", -5.0, 5.0, None),
            ("cs0_voltage_before_pct", -0.52, "%", -5.0, 5.0, None),
            ("cs4_voltage_gain", 55153, "counts", 52820, 58380, None),
            ("cs0_voltage_gain", 55891, "counts", 52820, 58380, None),
        ],
    ),
    (
        12000,
        "verify_gains",
        6.3,
        [
            (f"port{port}_{quantity}_error_pct", error / 1000, "%", -0.5, 0.5, None)
            for quantity, errors in (
                ("current", (12, -8, 21, -31, 4, 17)),
                ("voltage", (9, 7, 11, -6, -4, -8)),
            )
            for port, error in enumerate(errors, start=1)
        ],
    ),
    (None, "switch_load_off", 0.3, [("load_off_a", 0.0012, "A", -0.01, 0.01, None)]),
    (13000, "store_calibration", 0.9, [("factory_sha256", SHA, "", None, None, "/[0-9a-f]{64}/")]),
    (14000, "reset_to_factory_defaults", 1.8, [("wifi_ssid", "YDEV", "", None, None, "YDEV")]),
    (None, "switch_supply_off", 0.6, [("supply_off_v", 0.2, "V", 0.0, 5.0, None)]),
]


def build_calibrated_record(**changes: Any) -> Record:
    """Build the record of a good run that calibrated at three loads; `changes` replace top-level keys."""
    record: Any = build_record()
    by_name = {phase["name"]: phase for phase in record["phases"]}
    by_name["adjust_gains"]["name"] = "adjust_registers"
    by_name["adjust_gains"]["measurements"] = calibrated_record.adjust_registers()
    by_name["verify_gains"]["name"] = "verify_points"
    by_name["verify_gains"]["measurements"] = calibrated_record.verify_points()
    stored = copy.deepcopy(by_name["store_calibration"]) | {"name": "verify_stored", "seconds": 14.2}
    stored["measurements"] = calibrated_record.verify_points(("stored",))
    no_load = copy.deepcopy(stored) | {"name": "verify_no_load", "seconds": 3.1}
    no_load["measurements"] = calibrated_record.verify_no_load()
    position = record["phases"].index(by_name["switch_load_off"])
    record["phases"][position + 2 : position + 2] = [stored, no_load]
    start_s = 0.0
    for phase in record["phases"]:
        phase["start_s"], start_s = round(start_s, 3), start_s + phase["seconds"]
    nominal = {f"CT{port}": 42720 for port in range(1, 7)} | {"CS0": 55600, "CS4": 55600}
    record["adjustments"] = adjustments_of_phases(record["phases"], nominal)
    record["calibration"] = calibrated_record.calibration_facts()
    record["bench_seconds"] = round(start_s, 1)
    thermometer = {"role": "thermometer", "maker": "EMU-BENCH", "model": "TH1"}
    record["instruments"].append(thermometer | {"serial_number": "TH000004", "firmware": "1.0"})
    record["attachments"] = [{"name": "windows of the calibration", "file": "windows.csv", "sha256": SHA}]
    record |= copy.deepcopy(changes)
    return validate_record(record)


def build_record(**changes: Any) -> Record:
    """Build the record of a good run on the emulated bench; `changes` replace top-level keys."""
    phases: list[dict[str, Any]] = []
    start_s = 0.0
    for case, name, seconds, rows in PHASES:
        keys = ("name", "value", "unit", "low", "high", "expected")
        phases.append(
            {
                "case": case,
                "name": name,
                "outcome": "PASS",
                "start_s": round(start_s, 3),
                "seconds": seconds,
                "measurements": [
                    dict(zip(keys, row, strict=True))
                    | {"outcome": "PASS", "limit_source": "ct6-interface 5.3"}
                    for row in rows
                ],
                "error": None,
            }
        )
        start_s += seconds
    record: dict[str, Any] = {
        "schema": 1,
        "run_id": RUN_ID,
        "serial_number": "SN00001823",
        "assembly": "ASY0398V03.2",
        "mac": "28:cd:c1:00:00:01",
        "product": "CT6",
        "mode": "full",
        "slot": 1,
        "emulated": True,
        "backend": "unix",
        "station": {
            "id": "emulated-1",
            "file_sha256": SHA,
            "software": "2026.11.0",
            "git": "",
            "adaptor": "12 VAC",
        },
        "limits": {"file": "mfg/limits/ct6.toml", "revision": "2026-11-20", "sha256": SHA},
        "firmware": {"version": "4.0", "micropython": "1.28.0"},
        "instruments": [
            {
                "role": "reference meter",
                "maker": "GWInstek",
                "model": "GPM-8310",
                "serial_number": "GEU000123",
                "firmware": "V1.05",
            },
            {
                "role": "power switch",
                "maker": "EMU-BENCH",
                "model": "SW6",
                "serial_number": "SW000017",
                "firmware": "1.2",
            },
        ],
        "operator": "emulated",
        "started_utc": "2026-11-20T12:03:54.123Z",
        "ended_utc": "2026-11-20T12:04:58.001Z",
        "bench_seconds": round(start_s, 1),
        "wall_seconds": 63.9,
        "outcome": "PASS",
        "outcome_reasons": [],
        "next_action": "",
        "retest": False,
        "phases": phases,
        "attachments": [],
        "adjustments": [],
        "log_file": "log.txt",
    }
    nominal = {f"CT{port}": 42720 for port in range(1, 7)} | {"CS0": 55600, "CS4": 55600}
    record["adjustments"] = adjustments_of_phases(record["phases"], nominal)
    record |= copy.deepcopy(changes)
    return validate_record(record)
