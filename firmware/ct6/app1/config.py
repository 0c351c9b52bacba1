"""The unit's configuration in its two files. Pure; also runs under CPython.

Every write goes to a temporary file that then replaces the old one, so that a power cut leaves either the
old or the new content. A value that cannot be used becomes its default; the file is kept aside.
"""

import json
import os

from . import log, schema

FILE_MAX_BYTES = 8192


def write_atomic(path, text):
    """Replace the file at `path`.

    Raises:
        OSError: The disk is full or broken; the old file is as it was.
    """
    temporary = path + ".tmp"
    try:
        with open(temporary, "w") as file:
            file.write(text)
        os.rename(temporary, path)
    except OSError:
        remove_if_there(temporary)
        raise


def remove_if_there(path):
    """Remove the file at `path`; its absence is no error."""
    try:
        os.remove(path)
    except OSError:
        return False
    return True


def read_text(path):
    """Return the content of a configuration file, or None if there is none.

    Raises:
        ValueError: The file is too long or is no text.
    """
    try:
        # A read takes memory for what it is asked for, so it is asked for what there is.
        size = os.stat(path)[6]
        with open(path, "rb") as file:
            data = file.read(min(size, FILE_MAX_BYTES))
    except OSError:
        return None
    if size > FILE_MAX_BYTES:
        raise ValueError("is longer than %d bytes" % FILE_MAX_BYTES)
    try:
        return str(data, "utf-8")
    except UnicodeError:
        raise ValueError("is no text") from None


def parse_object(text):
    """Return the JSON object in `text`.

    Raises:
        ValueError: It is no JSON object.
    """
    try:
        values = json.loads(text)
    except (ValueError, RuntimeError):  # MicroPython raises RuntimeError for deep nesting
        values = None
    if not isinstance(values, dict):
        raise ValueError("is no JSON object")
    return values


def masked(values):
    """Return a copy of a configuration with its secrets masked."""
    shown = {}
    for key, value in values.items():
        if key == "WIFI" and isinstance(value, dict):
            shown[key] = masked_wifi(value)
        else:
            row = schema.find(key)
            shown[key] = schema.MASK if row and row[4] & schema.SECRET and value != "" else value
    return shown


def masked_wifi(wifi):
    """Return a copy of a WIFI object with its password masked."""
    shown = dict(wifi)
    for row in schema.WIFI_ROWS:
        if row[4] & schema.SECRET and row[0] in shown and shown[row[0]] != "":
            shown[row[0]] = schema.MASK
    return shown


def masked_file(path, text):
    """Return the text of a file as it may leave the unit.

    Raises:
        ValueError: The file may hold a secret and cannot be masked.
    """
    name = path.split("/")[-1].lower()
    secret = name.startswith("this.machine")
    for row in schema.ROWS + schema.WIFI_ROWS:
        if row[4] & schema.SECRET and '"%s"' % row[0] in text:
            secret = True
    if not secret:
        return text
    return json.dumps(masked(parse_object(text)))


class Config:
    """The configuration in memory and its two files."""

    def __init__(self, machine_file, factory_file):
        self.machine_file = machine_file
        self.factory_file = factory_file
        self.values = schema.defaults()
        self.calibrated = False

    def __getitem__(self, key):
        return self.values[key]

    def load(self):
        """Read both files; never raise.

        The machine file gives the values, the factory file overlays its 16 keys. What cannot be used is
        named on the console and becomes its default; the machine file is then kept with `.bad` added.
        """
        remove_if_there(self.machine_file + ".tmp")
        remove_if_there(self.factory_file + ".tmp")
        self.values = schema.defaults()
        text = None
        bad = False
        try:
            text = read_text(self.machine_file)
            if text is not None:
                bad = self._merge(parse_object(text), self.machine_file)
        except ValueError as exc:
            log.error("%s %s" % (self.machine_file, exc))
            bad = True
        self._load_factory()
        self._store_loaded(text, bad)

    def _load_factory(self):
        self.calibrated = False
        try:
            text = read_text(self.factory_file)
            if text is None:
                return
            stored = parse_object(text)
        except ValueError as exc:
            log.error("%s %s" % (self.factory_file, exc))
            return
        keys = schema.factory_keys()
        wrong = self._merge({key: stored[key] for key in keys if key in stored}, self.factory_file)
        self.calibrated = not wrong and all(key in stored for key in keys)

    def _merge(self, stored, path):
        wrong = False
        for key, value in stored.items():
            try:
                if key == "WIFI":
                    wrong = self._merge_wifi(value, path) or wrong
                    continue
                row = schema.find(key)
                if row:
                    self.values[key] = schema.check(row, value)
            except ValueError as exc:
                log.error("%s: %s %s" % (path, key, exc))
                wrong = True
        return wrong

    def _merge_wifi(self, stored, path):
        wrong = False
        if not isinstance(stored, dict):
            raise ValueError("is no object")
        for row in schema.WIFI_ROWS:
            if row[0] in stored:
                try:
                    self.values["WIFI"][row[0]] = schema.check(row, stored[row[0]])
                except ValueError as exc:
                    log.error("%s: WIFI %s %s" % (path, row[0], exc))
                    wrong = True
        if wrong:  # half a set of credentials is none
            self.values["WIFI"] = schema.wifi_defaults()
        return wrong

    def _store_loaded(self, text, bad):
        try:
            if bad:
                self._keep_aside()
            new = json.dumps(self.values)
            if text is None or bad or parse_object(text) != self.values:
                write_atomic(self.machine_file, new)
        except OSError as exc:  # the unit runs with what it has in memory
            log.error("%s was not written: %s" % (self.machine_file, exc))

    def _keep_aside(self):
        with open(self.machine_file, "rb") as old, open(self.machine_file + ".bad", "wb") as kept:
            for _ in range(FILE_MAX_BYTES // 512):
                kept.write(old.read(512))

    def _store(self, values):
        write_atomic(self.machine_file, json.dumps(values))
        self.values = values

    def set(self, requested):
        """Check and store the settable keys of a request, all or none, in one write.

        Args:
            requested: Values by key; a key that is unknown or not settable is left out.

        Returns:
            The values that are now in force, by key, secrets masked.

        Raises:
            ValueError: A value cannot be used, or there is no known key; nothing was stored.
            OSError: The file could not be written; nothing was stored.
        """
        accepted = {}
        for key, value in requested.items():
            row = schema.find(key)
            if not row or not row[4] & schema.SETTABLE:
                continue
            if row[4] & schema.SECRET and value == schema.MASK:
                value = self.values[key]
            try:
                accepted[key] = schema.check(row, value)
            except ValueError as exc:
                raise ValueError("%s %s" % (key, exc)) from None
        if not accepted:
            raise ValueError("Config parameter unset")
        self._change(accepted)
        return masked(accepted)

    def _change(self, changes):
        if any(self.values[key] != value for key, value in changes.items()):
            values = dict(self.values)
            values.update(changes)
            self._store(values)

    def replace(self, text):
        """Take over a machine file that came over the network; masked secrets keep their value.

        Raises:
            ValueError: It is no configuration; nothing was stored.
            OSError: The file could not be written; nothing was stored.
        """
        stored = parse_object(text)
        for key, value in list(stored.items()):
            row = schema.find(key)
            if row and row[4] & schema.SECRET and value == schema.MASK:
                stored[key] = self.values[key]
        wifi = stored.get("WIFI")
        if isinstance(wifi, dict) and wifi.get("PASSWD") == schema.MASK:
            wifi["PASSWD"] = self.values["WIFI"]["PASSWD"]
        old = self.values
        self.values = schema.defaults()
        try:
            if self._merge(stored, "upload"):
                raise ValueError("holds a value that cannot be used")
            self._store(self.values)
        except (ValueError, OSError):
            self.values = old
            raise

    def swap_app(self):
        """Make the other application the one that runs after the next boot; return its number."""
        self._change({"APP": 3 - self.values["APP"]})
        return self.values["APP"]

    def reset(self):
        """Store every key's default, except the active application.

        Raises:
            OSError: The file could not be written; nothing changed.
        """
        values = schema.defaults()
        values["APP"] = self.values["APP"]
        self._store(values)

    def reset_wifi(self):
        """Store the WIFI object's defaults.

        Raises:
            OSError: The file could not be written; nothing changed.
        """
        self._change({"WIFI": schema.wifi_defaults()})

    def save_factory(self):
        """Write the 16 factory keys to the factory file.

        Raises:
            OSError: The file could not be written; the old one is as it was.
        """
        write_atomic(self.factory_file, json.dumps({key: self.values[key] for key in schema.factory_keys()}))
        self.calibrated = True

    def shown(self):
        """Return the whole configuration with its secrets masked."""
        return masked(self.values)

    def active_app(self):
        """Return the folder of the application that runs after the next boot."""
        return "/app%d" % self.values["APP"]

    def inactive_app(self):
        """Return the folder of the other application."""
        return "/app%d" % (3 - self.values["APP"])
