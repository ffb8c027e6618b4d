"""What a user can mend."""


class MistakeError(Exception):
    """Its sentence names the field, the value and the way out, so that no traceback is shown beside it."""
