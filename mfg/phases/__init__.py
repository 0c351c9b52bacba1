"""One file per phase, verb first. A phase never imports another phase."""
