"""Lines on the console. Tools search them for markers; no secret may ever reach them."""


def info(text):
    """Print an information line."""
    print("INFO:  " + text)


def debug(text):
    """Print a debug line."""
    print("DEBUG: " + text)


def error(text):
    """Print an error line."""
    print("ERROR: " + text)
