# The bench has no time server; say so at once.
host = "pool.ntp.org"
timeout = 1


def time():
    raise OSError(110)


settime = time
