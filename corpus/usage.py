"""What every mistake of a user is, wherever it is seen: the command line ends with status 2 for it."""


class UsageError(ValueError):
    """A mistake of the user's, known before any work: names the field, the value and the way out."""
