"""Finished record in, HTML and tables out; touches no fixture."""
