"""Rewrites of operators into simpler ones, with no source format in them."""
