"""A finished run as a page, pictures and lines of a terminal."""
