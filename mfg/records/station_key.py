"""The key with which a station signs the head of its chain of records: Ed25519, made on first use.

A public key has 32 bytes, as many as a SHA-256 of it would have, so it stands for itself wherever a
fingerprint is printed: 64 hexadecimal digits.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import filelock
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from mfg.errors import StationError
from mfg.records.run_folder import PRIVATE, write_atomic

KEY_FILE = "station-key.pem"
PUBLIC_KEY = re.compile(r"[0-9a-f]{64}")
_SIGNATURE = re.compile(r"[0-9a-f]{128}")
_PLAIN_PEM = (
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.NoEncryption(),
)
_RESTORE = "Put the station's own key back from its safe copy, or begin a new records folder."


class StationKey:
    """A private key in memory. It is never printed, logged or put into a backup."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public = private.public_key().public_bytes_raw().hex()

    def __repr__(self) -> str:
        return f"StationKey(public={self.public!r})"

    def sign(self, data: bytes) -> str:
        """Return the signature of `data`, 128 hexadecimal digits."""
        return self._private.sign(data).hex()


def is_signed_by(public: str, signature: str, data: bytes) -> bool:
    """Tell whether `signature` is that of `data` by the owner of a public key; False for a wrong form."""
    if not PUBLIC_KEY.fullmatch(public) or not _SIGNATURE.fullmatch(signature):
        return False
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(bytes.fromhex(signature), data)
    except InvalidSignature:
        return False
    return True


def load_key(folder: Path) -> StationKey | None:
    """Load the key of a station, None when it has none yet.

    Args:
        folder: Where the key lies; only its owner may read the file.

    Raises:
        StationError: The file cannot be read, others can read it, or it is no Ed25519 key; it stays as it is.
    """
    path = folder / KEY_FILE
    try:
        mode = path.stat().st_mode
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StationError(f"{path} cannot be read: {error.strerror or error}.", _RESTORE) from error
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise StationError(
            f"The station's key {path} can be read by others ({stat.filemode(mode)}).",
            f"Run: chmod 600 {path}; if others may have taken it, begin a new records folder and key.",
        )
    try:
        private = serialization.load_pem_private_key(data, password=None)
    except (ValueError, TypeError) as error:
        raise StationError(f"{path} is not a private key in PEM form.", _RESTORE) from error
    if not isinstance(private, Ed25519PrivateKey):
        raise StationError(f"{path} is not an Ed25519 key.", _RESTORE)
    return StationKey(private)


def make_key(folder: Path) -> StationKey:
    """Load the key of a station, or make it when there is none.

    Raises:
        StationError: As `load_key`, or the disk refuses; no half-written key is left.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with filelock.FileLock(folder / ".key.lock", mode=PRIVATE):  # two records folders may share a key
            key = load_key(folder)
            if key is None:
                private = Ed25519PrivateKey.generate()
                write_atomic(folder / KEY_FILE, private.private_bytes(*_PLAIN_PEM), PRIVATE)
                key = StationKey(private)
    except OSError as error:
        raise StationError(
            f"{folder} cannot be written: {error.strerror or error}.", "Check the disk and its rights."
        ) from error
    return key
