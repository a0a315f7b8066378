"""``python -m nibblemac.scripts`` is ``nibblemac``."""

import sys

from .main import main

sys.exit(main())
