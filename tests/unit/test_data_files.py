"""Where the data files are found."""

from __future__ import annotations

from pathlib import Path

import pytest

from mfg.data_files import data_file, data_folder
from mfg.errors import StationError


def test_this_checkout_has_both_folders():
    assert data_file("firmware", "contract.toml").is_file()
    assert data_file("reports", "style.css").is_file()


def test_an_installed_package_finds_its_own_copy(tmp_path: Path):
    copy = tmp_path / "mfg" / "_data" / "reports"
    copy.mkdir(parents=True)
    assert data_folder("reports", tmp_path / "mfg") == copy


def test_a_folder_beside_an_installed_package_is_someone_elses(tmp_path: Path):
    (tmp_path / "reports").mkdir()
    with pytest.raises(StationError, match="reports/ is missing"):
        data_folder("reports", tmp_path / "mfg")


def test_a_checkout_is_known_by_its_project_file(tmp_path: Path):
    (tmp_path / "reports").mkdir()
    (tmp_path / "pyproject.toml").touch()
    assert data_folder("reports", tmp_path / "mfg") == tmp_path / "reports"


def test_a_missing_file_is_named(tmp_path: Path):
    (tmp_path / "mfg" / "_data" / "reports").mkdir(parents=True)
    with pytest.raises(StationError, match=r"style\.css is missing"):
        data_file("reports", "style.css", package=tmp_path / "mfg")
