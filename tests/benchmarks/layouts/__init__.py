"""Labelled pages: real sentences in the layouts of real kinds of sites, so that the right text is known.

The sentences are the sample site's, whose licence its NOTICE names; the layouts are written from memory of what
publishing systems put around a text: menus, teasers, comments, consent banners, share bars, scripts and styles.
"""
