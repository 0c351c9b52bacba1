"""Around OpenHTF: start-up order, signals, verdict guard, locks, records.

OpenHTF parses `sys.argv` when it is imported; the command line blanks it first.
"""
