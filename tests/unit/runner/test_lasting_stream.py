"""A terminal that goes away stops nobody."""

import os
import subprocess
import sys

from mfg.runner.lasting_stream import LastingStream

PROGRAM = """
import sys
from rich.console import Console
from mfg.runner.lasting_stream import LastingStream
console = Console(file=LastingStream(sys.stdout))
console.print("first")
sys.stdin.readline()
for _ in range(2000):
    console.print("later " * 20)
sys.stderr.write("went on")
raise SystemExit(4)
"""


def test_what_is_written_arrives():
    read, write = os.pipe()
    stream = LastingStream(os.fdopen(write, "w"))
    assert stream.write("word") == 4
    stream.flush()
    assert os.read(read, 10) == b"word"
    stream.close()
    os.close(read)


def test_a_program_goes_on_and_keeps_its_exit_code_when_its_terminal_is_closed():
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout.readline() == b"first\n"
        process.stdout.close()
        _nothing, said = process.communicate(b"\n", timeout=30)
    assert (process.returncode, said) == (4, b"went on")
