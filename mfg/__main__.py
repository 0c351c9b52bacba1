"""`python -m mfg`."""

from mfg.cli import main

raise SystemExit(main())
