"""Processes and devices: how ranks are started, what each knows of its place, what upstream assumes of a machine."""
