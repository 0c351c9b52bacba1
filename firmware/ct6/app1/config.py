"""The unit's configuration in its three files. Pure; also runs under CPython.

Every write goes to a temporary file that then replaces the old one, so that a power cut leaves either the
old or the new content. A value that cannot be used becomes its default; the file is kept aside.
"""

import binascii
import hashlib
import json
import os

from . import log, schema

FILE_MAX_BYTES = 8192
_PART_CHARS = 200
# Key of the calibration file: the hash of the factory file that it belongs to.
FACTORY_SHA256 = "FACTORY_SHA256"


def write_atomic(path, parts):
    """Replace the file at `path`.

    Args:
        parts: Texts, one after the other.

    Raises:
        OSError: The disk is full or broken; the old file is as it was.
    """
    write_together(((path, parts),))


def write_together(contents):
    """Replace several files, in this order, once all of them are on the disk beside the old ones.

    Args:
        contents: Path and texts of each.

    Raises:
        OSError: The disk is full or broken; the old files are as they were, unless a rename failed.
    """
    try:
        for path, parts in contents:
            with open(path + ".tmp", "w") as file:
                for part in parts:
                    file.write(part)
        for path, _ in contents:
            os.rename(path + ".tmp", path)
    except OSError:
        for path, _ in contents:
            remove_if_there(path + ".tmp")
        raise


def sha256_of(text):
    """Return the SHA-256 of a file's text, in hex."""
    return str(binascii.hexlify(hashlib.sha256(text.encode()).digest()), "ascii")


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


def text_of(values):
    """Yield the text of a whole configuration in parts: equal values give equal bytes.

    A heap in use for hours has no room for it in one piece.
    """
    text = "{"
    for row in schema.ROWS:
        for key in schema.expand(row):
            text += '"%s": %s, ' % (key, json.dumps(values[key]))
        if len(text) > _PART_CHARS:
            yield text
            text = ""
    wifi = ['"%s": %s' % (row[0], json.dumps(values["WIFI"][row[0]])) for row in schema.WIFI_ROWS]
    yield '%s"WIFI": {%s}}' % (text, ", ".join(wifi))


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


def _part(values, keys):
    part = {}
    for key in keys:
        if key in values:
            part[key] = values[key]
    return part


class Config:
    """The configuration in memory and its files."""

    def __init__(self, machine_file, factory_file):
        self.machine_file = machine_file
        self.factory_file = factory_file
        # It stands beside the factory file, whose 16 keys are all that the original tools know.
        self.calibration_file = factory_file[: factory_file.rfind("/") + 1] + "calibration.cfg"
        self.values = schema.defaults()
        self.calibrated = False

    def __getitem__(self, key):
        return self.values[key]

    def load(self):
        """Read the files; never raise.

        The machine file gives the values, the factory file overlays its 16 keys, the calibration file its
        14. What cannot be used is named on the console and becomes its default; the machine file is then
        kept with `.bad` added.
        """
        for path in (self.machine_file, self.factory_file, self.calibration_file):
            remove_if_there(path + ".tmp")
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
        self.calibrated = self._overlay(stored, schema.factory_keys(), self.factory_file)
        self._load_calibration(sha256_of(text))

    def _load_calibration(self, factory_sha256):
        """Overlay the calibration file; where it is not that of the factory file, its keys are defaults."""
        keys = schema.keys(schema.CALIBRATION)
        problem = "is missing"
        try:
            text = read_text(self.calibration_file)
            if text is not None:
                problem = "does not belong to " + self.factory_file
                stored = parse_object(text)
                if stored.get(FACTORY_SHA256) == factory_sha256:
                    problem = "cannot be used"
                    if self._overlay(stored, keys, self.calibration_file):
                        return
        except ValueError as exc:
            problem = str(exc)
        log.info("%s %s: phases, power gains and voltage offsets are 0" % (self.calibration_file, problem))
        for key in keys:
            self.values[key] = schema.find(key)[1]

    def _overlay(self, stored, keys, path):
        """Take over those of `keys` that are stored; return whether all of them were, and could be used."""
        part = _part(stored, keys)
        return not self._merge(part, path) and len(part) == len(keys)

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
            if text is None or bad or parse_object(text) != self.values:
                write_atomic(self.machine_file, text_of(self.values))
        except OSError as exc:  # the unit runs with what it has in memory
            log.error("%s was not written: %s" % (self.machine_file, exc))

    def _keep_aside(self):
        with open(self.machine_file, "rb") as old, open(self.machine_file + ".bad", "wb") as kept:
            for _ in range(FILE_MAX_BYTES // 512):
                kept.write(old.read(512))

    def _store(self, values):
        write_atomic(self.machine_file, text_of(values))
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
        values = dict(self.values)
        values.update(changes)
        if values != self.values:
            self._store(values)

    def replace(self, text):
        """Take over a machine file that came over the network; masked secrets keep their value.

        So does the active application: only a swap puts another one in its place, on trial.

        Raises:
            ValueError: It is no configuration; nothing was stored.
            OSError: The file could not be written; nothing was stored.
        """
        stored = parse_object(text)
        stored["APP"] = self.values["APP"]
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

    def select_app(self, number):
        """Store which application, 1 or 2, runs after the next boot.

        Raises:
            OSError: The file could not be written; nothing changed.
        """
        self._change({"APP": number})

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
        """Write the 16 factory keys to the factory file, and the calibration file that belongs to it.

        The factory file comes first: after a power cut between the two, the old calibration file does not
        belong to it and is ignored.

        Raises:
            OSError: A file could not be written; the old ones are as they were, unless a rename failed.
        """
        factory = json.dumps(_part(self.values, schema.factory_keys()))
        calibration = _part(self.values, schema.keys(schema.CALIBRATION))
        calibration[FACTORY_SHA256] = sha256_of(factory)
        write_together(((self.factory_file, (factory,)), (self.calibration_file, (json.dumps(calibration),))))
        self.calibrated = True

    def shown(self):
        """Return the whole configuration with its secrets masked."""
        return masked(self.values)
