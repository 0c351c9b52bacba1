# The file system's part of the flash file: erase to FF, then program, as rp2.Flash does.
import os


class Flash:
    def __init__(self):
        self.f = open(os.getenv("PICOW_FLASH"), "r+b")
        self.worn = int(os.getenv("PICOW_WORN") or 212)  # from this block on nothing can be programmed

    def readblocks(self, block, buf, offset=0):
        self.f.seek(0x12C000 + block * 4096 + offset)
        self.f.readinto(buf)

    def writeblocks(self, block, buf, offset=None):
        if offset is None:
            self.ioctl(6, block)
            offset = 0
        self.f.seek(0x12C000 + block * 4096 + offset)
        if block < self.worn:
            self.f.write(buf)

    def ioctl(self, op, arg):
        if op == 4:
            return 212
        if op == 5:
            return 4096
        if op == 6:
            self.f.seek(0x12C000 + arg * 4096)
            for _ in range(32):
                self.f.write(_blank)
            return 0


class Memory:
    # `uctypes` as far as the flash at its address goes: what the chip reads where it executes.
    def __init__(self, f):
        self.f = f

    def bytearray_at(self, address, n):
        self.f.seek(address - 0x10000000)
        return bytearray(self.f.read(n))


_blank = b"\xff" * 128
