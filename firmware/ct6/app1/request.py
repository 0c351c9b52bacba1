"""Requests on the REST port, as text. Pure; also runs under CPython.

`GET <path>?<key>=<value>,<key>=<value> HTTP/1.1`, or one line
`FILE <name> <dest_dir> <length> <sha256 hex> HTTP/1.1` followed by the file's bytes.

Source: CT6 interface description 3.1 and 3.5.
"""

REQUEST_MAX_BYTES = 2048
UPLOAD_MAX_BYTES = 524288
_PATH_MAX_CHARS = 128


class RequestError(ValueError):
    """The request cannot be understood or is not allowed."""


class Get:
    """A request for a path; `args` by lower-case key, values as sent."""

    def __init__(self, path, args):
        self.path = path
        self.args = args


class Upload:
    """A file that follows its request line."""

    def __init__(self, path, length, sha256):
        self.path = path
        self.length = length
        self.sha256 = sha256


def parse(line):
    """Return the Get or Upload that a request line asks for.

    Args:
        line: The first line as bytes, without its line end.

    Raises:
        RequestError: The line is neither.
    """
    try:
        words = str(line, "utf-8").split(" ")
    except UnicodeError:
        raise RequestError("The request is no text") from None
    if words[0] == "GET" and len(words) >= 2:
        return _parse_get(words[1])
    if words[0] == "FILE":
        return _parse_upload(words)
    raise RequestError("Only GET and FILE are served")


def _parse_get(target):
    path, _, query = target.partition("?")
    if not path.startswith("/"):
        raise RequestError("The path does not begin with /")
    args = {}
    if query:
        for pair in query.split(","):
            key, equals, value = pair.partition("=")
            if not key or not equals:
                raise RequestError("An argument is not <key>=<value>")
            args[key.lower()] = value
    return Get(path.lower(), args)


def _parse_upload(words):
    if len(words) != 6:
        raise RequestError("Not FILE <name> <dest_dir> <length> <sha256> HTTP/1.1")
    name, folder, length, sha256 = words[1:5]
    if "/" in name:
        raise RequestError("The file name holds a /")
    if not 0 < len(length) <= 7 or length.strip("0123456789"):
        raise RequestError("The length is not a number")
    if int(length) > UPLOAD_MAX_BYTES:
        raise RequestError("The file is longer than %d bytes" % UPLOAD_MAX_BYTES)
    sha256 = sha256.lower()
    if len(sha256) != 64 or sha256.strip("0123456789abcdef"):
        raise RequestError("The hash is not a SHA-256 in hex")
    return Upload(clean_path(folder + "/" + name), int(length), sha256)


def clean_path(path):
    """Return an absolute path without empty parts.

    Raises:
        RequestError: The path is empty, too long, or holds `.`, `..` or a control character.
    """
    parts = [part for part in path.split("/") if part]
    if not parts or len(path) > _PATH_MAX_CHARS:
        raise RequestError("The path is empty or too long")
    if "." in parts or ".." in parts or min(path) < " ":
        raise RequestError("The path is not allowed")
    return "/" + "/".join(parts)


def argument(args, key):
    """Return an argument of a request.

    Raises:
        RequestError: It is missing.
    """
    if key not in args:
        raise RequestError("No %s passed" % key)
    return args[key]


def path_of(args, key):
    """Return the clean path that an argument of a request gives."""
    return clean_path(unquote(argument(args, key)))


def unquote(text):
    """Return `text` with its %xx sequences decoded; what is no such sequence stays.

    Raises:
        RequestError: The decoded bytes are no UTF-8.
    """
    if "%" not in text:
        return text
    data = bytearray()
    source = text.encode()
    index = 0
    while index < len(source):
        code = _hex_byte(source[index + 1 : index + 3]) if source[index] == 0x25 else -1
        data.append(source[index] if code < 0 else code)
        index += 1 if code < 0 else 3
    try:
        return str(data, "utf-8")
    except UnicodeError:
        raise RequestError("A value is no UTF-8") from None


def _hex_byte(digits):
    code = 0
    for digit in digits.lower():
        place = b"0123456789abcdef".find(bytes([digit]))
        if place < 0:
            return -1
        code = code << 4 | place
    return code if len(digits) == 2 else -1
