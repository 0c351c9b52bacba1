"""Looks for a secret in everything that a run wrote or showed, in every form that it may have taken."""

import base64
import html
import json
import threading
import urllib.parse
from contextlib import contextmanager
from pathlib import Path

PROCESSES = Path("/proc")
LOOK_EVERY_S = 0.25


def forms(secret):
    """Return what a file that holds the secret would contain, by the name of the form."""
    data = secret.encode()
    escaped = json.dumps(secret)[1:-1]
    found = {
        "plain": data,
        "JSON": escaped.encode(),
        "JSON in JSON": json.dumps(escaped)[1:-1].encode(),
        "HTML": html.escape(secret).encode(),
        "URL": urllib.parse.quote(secret, safe="").encode(),
        "form": urllib.parse.quote_plus(secret).encode(),
        "hex": data.hex().encode(),
        "HEX": data.hex().upper().encode(),
        "Python": repr(secret)[1:-1].encode(),
    }
    for offset in range(3):  # base64 of something longer has the secret at one of three offsets
        whole = base64.b64encode(bytes(offset) + data)
        inner = whole[-(-offset * 8 // 6) : (offset + len(data)) * 8 // 6]
        found[f"base64 at {offset}"] = inner
        found[f"URL-safe base64 at {offset}"] = inner.replace(b"+", b"-").replace(b"/", b"_")
    return found


def forms_in(data, secret):
    """Return the names of the forms in which `data` holds the secret."""
    return [name for name, form in forms(secret).items() if form in data]


def files_with(folder, secret):
    """Return, for each file below a folder that holds the secret, the forms in which it does."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            held = forms_in(path.read_bytes(), secret)
            if held:
                found[path.relative_to(folder).as_posix()] = held
    return found


@contextmanager
def processes_of(folder):
    """Collect argv and environment of every process that works in a folder while the block runs.

    Yields:
        A set of what the kernel shows of them; it stays empty on a system without /proc.
    """
    seen, end = set(), threading.Event()

    def look():
        while not end.wait(LOOK_EVERY_S):
            for process in PROCESSES.glob("[0-9]*"):
                try:
                    if (process / "cwd").readlink().is_relative_to(folder):
                        seen.update((process / name).read_bytes() for name in ("cmdline", "environ"))
                except OSError:
                    continue  # it has ended, or is another user's

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield seen
    finally:
        end.set()
        watcher.join()
