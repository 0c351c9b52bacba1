"""One line of a station's chain of records, and the signed head of a day: their form and nothing else.

Both are JSON with sorted keys and no spaces, in ASCII. There is one way to write a line, so its hash is that
of what it says; a reader refuses a line that is written in another way.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from mfg.errors import MfgError, StationError
from mfg.records.checks import (
    Check,
    has_keys,
    is_date,
    is_integer,
    is_text,
    is_utc,
    map_of,
    matches,
    one_of,
    optional,
)
from mfg.records.outcomes import JUDGES_NOBODY, OUTCOMES
from mfg.records.run_folder import FILE_NAME, run_folder_name, sha256_hex
from mfg.records.station_key import PUBLIC_KEY, StationKey, is_signed_by

START = "0" * 64  # what stands before the first line
MAX_LINE_BYTES = 64 * 1024

_is_sha256 = matches(re.compile(r"[0-9a-f]{64}"), "64 hexadecimal digits")
_is_key = matches(PUBLIC_KEY, "64 hexadecimal digits")
_is_file = matches(FILE_NAME, "a plain file name")
_LINE = {
    "sequence": is_integer,
    "utc": is_utc,
    "run_id": is_text,
    "serial_number": is_text,
    "outcome": one_of(OUTCOMES),
    "folder": is_text,
    "record_sha256": _is_sha256,
    "files": map_of(_is_file, _is_sha256),
    "supersedes": optional(is_integer),
    "reason": is_text,
    "key": _is_key,
    "previous": _is_sha256,
}
_HEAD = {
    "date": is_date,
    "sequence": is_integer,
    "head": _is_sha256,
    "utc": is_utc,
    "key": _is_key,
    "signature": matches(re.compile(r"[0-9a-f]{128}"), "128 hexadecimal digits"),
}


@dataclass(frozen=True)
class Link:
    """A run on record: one line of the chain.

    Attributes:
        sequence: Its number, from 1 without a gap.
        utc: When it was appended.
        folder: Of the run, below the records folder, with a forward slash.
        record_sha256: Of `record.json`.
        files: SHA-256 of every other file of the folder that must not change, by name.
        supersedes: Number of the earlier line of the same run that this one takes back, None in all others.
        reason: Why it does; empty in all others.
        key: The station's public key.
        previous: SHA-256 of the line before; `START` in the first.
    """

    sequence: int
    utc: str
    run_id: str
    serial_number: str
    outcome: str
    folder: str
    record_sha256: str
    files: Mapping[str, str]
    supersedes: int | None
    reason: str
    key: str
    previous: str

    @functools.cached_property
    def line(self) -> bytes:
        """The line as it stands in the file, without its end."""
        return _canonical(dataclasses.asdict(self))

    @functools.cached_property
    def sha256(self) -> str:
        """The SHA-256 of the line: the head of the chain when this is its last."""
        return sha256_hex(self.line)


@dataclass(frozen=True)
class SignedHead:
    """The head of the chain at the end of a day, signed by the station.

    Attributes:
        date: The day of the line that is the head, UTC.
        sequence: Number of that line.
        head: Its SHA-256.
        utc: When it was signed.
        key: Public key of who signed.
        signature: Of everything else.
    """

    date: str
    sequence: int
    head: str
    utc: str
    key: str
    signature: str

    @property
    def content(self) -> bytes:
        """The file of this head."""
        return _canonical(dataclasses.asdict(self)) + b"\n"

    @property
    def is_genuine(self) -> bool:
        """Whether the owner of `key` signed this."""
        return is_signed_by(self.key, self.signature, _signed_bytes(dataclasses.asdict(self)))


def sign_head(link: Link, utc: str, key: StationKey) -> SignedHead:
    """Sign a line as the head of its day."""
    fields = {
        "date": link.utc[:10],
        "sequence": link.sequence,
        "head": link.sha256,
        "utc": utc,
        "key": key.public,
    }
    return SignedHead(**fields, signature=key.sign(_signed_bytes(fields)))  # type: ignore[arg-type]


def read_link(line: bytes) -> Link:
    """Read a line of the chain, without its end.

    Raises:
        StationError: It is not a line of a chain; the message says what is wrong.
    """
    link = Link(**_exact(line, _LINE, "line of the chain"))
    try:
        folder = run_folder_name(link.serial_number or None, link.run_id)
    except MfgError as error:
        raise StationError(str(error)) from error
    if link.folder != folder:
        raise StationError(f"A run of this serial number lies in {folder}, not in {link.folder[:80]!r}.")
    if (link.supersedes is None) != (link.reason == ""):
        raise StationError("A line that takes another back says why, and no other line does.")
    if link.supersedes is not None and link.outcome not in JUDGES_NOBODY:
        raise StationError(f"A line may take a verdict back; it may not give {link.outcome} instead.")
    return link


def read_head(content: bytes) -> SignedHead:
    """Read the file of a signed head; the signature is not checked here.

    Raises:
        StationError: It is not a signed head.
    """
    return SignedHead(**_exact(content.removesuffix(b"\n"), _HEAD, "signed head"))


def _signed_bytes(fields: Mapping[str, Any]) -> bytes:
    return b"head of a chain of records\n" + _canonical(
        {name: value for name, value in fields.items() if name != "signature"}
    )


def _canonical(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode("ascii")


def _exact(data: bytes, keys: Mapping[str, Check], what: str) -> dict[str, Any]:
    """Parse JSON that must hold these keys, no other, in the one way of writing it."""
    if len(data) > MAX_LINE_BYTES:
        raise StationError(f"This is no {what}: it has {len(data)} bytes.")
    try:
        content = json.loads(data.decode("ascii"))
        one_way = isinstance(content, dict) and _canonical(content) == data
    except (ValueError, RecursionError) as error:
        raise StationError(f"This is no {what}: {error}.") from error
    if not one_way or content.keys() != keys.keys():
        raise StationError(f"This is no {what}: it has other keys, or is written in another way.")
    has_keys(keys)(content, "")
    return cast(dict[str, Any], content)
