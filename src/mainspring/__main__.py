"""`python -m mainspring` is the `mainspring` command."""

import sys

from mainspring.cli.main import main

sys.exit(main())
