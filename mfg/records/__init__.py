"""The store: run folders, records, the index over them, factory files and labels."""
