"""What each `mfg` command does; `mfg/cli.py` reads the arguments. Every command returns its exit code."""
