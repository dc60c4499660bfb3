"""`python -m hermes_front.process`: what an owner starts, with descriptors that it hands down."""

import sys

from hermes_front.process.main import main

sys.exit(main(sys.argv[1:]))
