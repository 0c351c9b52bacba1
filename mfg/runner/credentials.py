"""The test network's credentials: from a file that only its owner can read, or from a prompt."""

from __future__ import annotations

import getpass
import os
import stat
import sys
from pathlib import Path

from mfg.errors import UsageError
from mfg.station import Station, WifiCredentials
from mfg.untrusted import parse_toml, read_bounded

FILE_LIMIT_BYTES = 4096
_FORM = 'It must hold ssid = "…" and passphrase = "…".'


def wifi_credentials(station: Station) -> WifiCredentials:
    """Read the credentials; ask at the terminal when the station file names no file.

    Raises:
        UsageError: The file is missing, readable by others or not of the right form, or there is neither
            a file nor a terminal. Nothing was touched; no message holds a passphrase.
    """
    path = station.wifi_credentials
    if path == Path():
        return _asked(station)
    try:
        mode = path.stat().st_mode
        content = read_bounded(path, FILE_LIMIT_BYTES)
    except (OSError, ValueError) as error:
        raise UsageError(f"The WiFi credentials {path} cannot be read: {error}.", _FORM) from error
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UsageError(
            f"The WiFi credentials {path} can be read by others ({stat.filemode(mode)}).",
            f"Run: chmod 600 {path}",
        )
    try:
        data = parse_toml(content)
    except ValueError as error:
        raise UsageError(f"The WiFi credentials {path} are not TOML.", _FORM) from error
    return _checked(data.get("ssid"), data.get("passphrase"), str(path))


def _asked(station: Station) -> WifiCredentials:
    if not sys.stdin.isatty():
        raise UsageError(
            f"{station.path} names no WiFi credentials file and there is no terminal to ask at.",
            "Set wifi.credentials_file.",
        )
    try:
        ssid = input("SSID of the test network: ")
        passphrase = getpass.getpass("Its passphrase: ")
    except EOFError as error:
        raise UsageError("The terminal was closed before the WiFi credentials were typed.") from error
    return _checked(ssid, passphrase, "The terminal")


def _checked(ssid: object, passphrase: object, where: str) -> WifiCredentials:
    """Check the lengths that 802.11 and WPA allow (IEEE 802.11-2020, 9.4.2.2 and annex J.4)."""
    if not isinstance(ssid, str) or not isinstance(passphrase, str):
        raise UsageError(f"{where}: no ssid or no passphrase.", _FORM)
    if not 1 <= len(ssid.encode()) <= 32 or not 8 <= len(passphrase) <= 63:
        raise UsageError(f"{where}: the SSID needs 1 to 32 bytes, the passphrase 8 to 63 characters.")
    return WifiCredentials(ssid, passphrase)
