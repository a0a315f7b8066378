"""Settings shared by the tests of number formats."""

from hypothesis import settings

# A loaded machine is no failure: the suite's own timeout catches what hangs.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
