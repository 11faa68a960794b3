"""`python -m radfoundry`."""

from radfoundry.cli import main

main()
