"""What all tests share: properties are searched without a clock and without a memory on disk."""

from hypothesis import settings

settings.register_profile("siku", deadline=None, database=None)
settings.load_profile("siku")
