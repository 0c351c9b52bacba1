"""MicroPython modules that dress the unix VM up as a Pico W; see unix_vm.py. Nothing here runs in CPython."""
