# The link from the VM to the unit process: requests over an inherited socket, in order.
#
# Request: operation, argument, payload length (2 bytes, low first), payload of at most 512 bytes, in one
# write, which the kernel takes whole or not at all. An operation that answers answers with as many bytes
# as the caller expects. Control-C may interrupt anywhere: `_busy`, set before such a request goes out,
# remembers that an answer may be under way, and the next request first asks for a mark and drops
# everything before it.
# The operations are numbered as in peripherals.py; plain numbers, because names cost the firmware's heap.
import os

_f = open(int(os.getenv("PICOW_LINK")), "r+b")
_b = bytearray(516)
_busy = False
_marks = 0


def send(op, arg=0, data=b""):
    # Ask for something that is not answered.
    if _busy:
        _resync()
    _put(op, arg, data)


def _put(op, arg, data):
    n = len(data)
    _b[0] = op
    _b[1] = arg
    at = 0
    while True:
        k = min(n - at, 512)
        _b[2] = k & 255
        _b[3] = k >> 8
        if k:
            _b[4 : 4 + k] = data if k == n else data[at : at + k]
        _f.write(_b, 4 + k)
        at += k
        if at >= n:
            return


def call(op, arg, data, into):
    # Ask for something that is answered: fill `into`. The payload is at most 512 bytes.
    global _busy
    if _busy:
        _resync()
    _busy = True
    _put(op, arg, data)
    if _f.readinto(into) != len(into):
        raise SystemExit  # The unit process is gone.
    _busy = False
    return into


def _resync():
    global _busy, _marks
    _marks = (_marks + 1) & 255
    _f.write(bytes((16, _marks, 0, 0)))
    want = b"\x5a\xc3\x96\x3c\xe1\x0f\x78" + bytes((_marks,))
    seen = b""
    while seen != want:
        seen = (seen + _f.read(1))[-8:]
    _busy = False


def halt(op):
    # Ask for something after which the chip no longer executes this program.
    send(op)
    while _f.read(1):
        pass
    raise SystemExit  # The unit process is gone.
