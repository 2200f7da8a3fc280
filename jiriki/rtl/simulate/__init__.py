"""Driving compiled gates from Python."""
