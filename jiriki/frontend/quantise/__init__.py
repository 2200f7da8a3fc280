"""Calibration and quantisation of float models."""
