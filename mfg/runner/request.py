"""What one run is asked to do, as a value that one process can hand to another."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mfg.plans.mode import Mode


@dataclass(frozen=True)
class RunRequest:
    """What one run is asked to do.

    Attributes:
        scanned: Assembly and serial number bar codes when they are known already.
        last_scanned: The pair that `r` repeats.
        firmware: Folder of another firmware than the station's own.
        past_due_by: Who lets an instrument past its due date be used; goes into the record.
        uncertainty_waived_by: Who lets limits be judged with too large an uncertainty; likewise.
    """

    mode: Mode = field(default_factory=Mode)
    slot: int = 1
    scanned: tuple[str, str] | None = None
    last_scanned: tuple[str, str] | None = None
    erase_calibrated: bool = False
    operator: str = ""
    firmware: Path | None = None
    past_due_by: str = ""
    uncertainty_waived_by: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the request as plain JSON."""
        return {**asdict(self), "firmware": str(self.firmware) if self.firmware else ""}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> RunRequest:
        """Read what `to_json` gave."""
        mode = data["mode"]
        return cls(
            **{
                **data,
                "mode": Mode(**{**mode, "ports": tuple(mode["ports"])}),
                "scanned": _pair(data["scanned"]),
                "last_scanned": _pair(data["last_scanned"]),
                "firmware": Path(data["firmware"]) if data["firmware"] else None,
            }
        )


def _pair(codes: list[str] | None) -> tuple[str, str] | None:
    return (codes[0], codes[1]) if codes else None
