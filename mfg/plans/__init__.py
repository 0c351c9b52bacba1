"""One module per product: the phases of each mode in order, readable from top to bottom."""
