"""WiFi credentials come from a file that only its owner can read, or from a prompt; no message holds them."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import pytest

from mfg.errors import UsageError
from mfg.runner.credentials import wifi_credentials
from mfg.station import Station, load_station

SHIPPED = Path(__file__).parents[3] / "station.yaml"
GOOD = 'ssid = "test-network"\npassphrase = "top-secret"\n'


def station_with(path: Path) -> Station:
    return dataclasses.replace(load_station(SHIPPED), wifi_credentials=path)


def write(folder: Path, text: str | bytes, mode: int = 0o600) -> Path:
    path = folder / "wifi.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(UsageError) as caught:
        wifi_credentials(station_with(path))
    return str(caught.value)


class TestFromAFile:
    def test_both_are_read(self, tmp_path):
        found = wifi_credentials(station_with(write(tmp_path, GOOD)))
        assert (found.ssid, found.passphrase) == ("test-network", "top-secret")

    @pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o666])
    def test_a_file_that_others_can_read_or_write_is_refused_with_the_remedy(self, tmp_path, mode):
        path = write(tmp_path, GOOD, mode)
        message = refusal(path)
        assert "can be read by others" in message
        assert f"chmod 600 {path}" in message

    def test_a_file_that_is_not_there_is_refused(self, tmp_path):
        assert "cannot be read" in refusal(tmp_path / "none.toml")

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("ssid: test\n", "are not TOML"),
            ('passphrase = "top-secret\n', "are not TOML"),
            (b"ssid = '\xff'\n", "are not TOML"),
            ('ssid = "test-network"\n', "no ssid or no passphrase"),
            ('passphrase = "top-secret"\n', "no ssid or no passphrase"),
            ('ssid = "test-network"\npassphrase = 12345678\n', "no ssid or no passphrase"),
            ('ssid = ""\npassphrase = "top-secret"\n', "1 to 32 bytes"),
            (f'ssid = "{"ä" * 17}"\npassphrase = "top-secret"\n', "1 to 32 bytes"),
            ('ssid = "test-network"\npassphrase = "short"\n', "8 to 63 characters"),
            (f'ssid = "test-network"\npassphrase = "{"x" * 64}"\n', "8 to 63 characters"),
        ],
    )
    def test_a_wrong_form_is_refused_and_no_secret_is_printed(self, tmp_path, text, says):
        message = refusal(write(tmp_path, text))
        assert says in message
        assert "top-secret" not in message
        assert "xxxx" not in message


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class TestFromThePrompt:
    @pytest.fixture
    def at_a_terminal(self, monkeypatch):
        def typed(ssid: str, passphrase: str | None) -> None:
            def getpass(_prompt: str) -> str:
                if passphrase is None:
                    raise EOFError
                return passphrase

            monkeypatch.setattr("sys.stdin", Terminal(ssid))
            monkeypatch.setattr("getpass.getpass", getpass)

        return typed

    def test_both_are_asked_for_when_the_station_names_no_file(self, at_a_terminal):
        at_a_terminal("test-network\n", "top-secret")
        found = wifi_credentials(station_with(Path()))
        assert (found.ssid, found.passphrase) == ("test-network", "top-secret")

    @pytest.mark.parametrize(("ssid", "passphrase"), [("", "top-secret"), ("test-network\n", None)])
    def test_a_closed_terminal_is_refused(self, at_a_terminal, ssid, passphrase):
        at_a_terminal(ssid, passphrase)
        assert "terminal was closed" in refusal(Path())

    def test_a_passphrase_that_is_too_short_is_refused(self, at_a_terminal):
        at_a_terminal("test-network\n", "short")
        assert "8 to 63 characters" in refusal(Path())

    def test_without_a_file_and_a_terminal_there_is_nobody_to_ask(self, monkeypatch):
        monkeypatch.setattr("sys.stdin", io.StringIO())
        message = refusal(Path())
        assert "no terminal to ask at" in message
        assert "wifi.credentials_file" in message
