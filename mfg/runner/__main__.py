"""`python -m mfg.runner`: the runner's process; see `child.py`."""

import sys

sys.argv = sys.argv[:1]  # OpenHTF parses what is left there when it is imported

from mfg.runner.child import main  # noqa: E402

raise SystemExit(main())
