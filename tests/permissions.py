"""Processes for which the permissions of files hold, as they do not for root."""

import ctypes

_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE = 24, 1  # linux/prctl.h, linux/capability.h


def obey_permissions() -> None:
    """For `preexec_fn`: what is executed next may not write where permissions forbid it, even as root."""
    ctypes.CDLL(None).prctl(_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE, 0, 0, 0)
