"""Measurements.  ``python -m tests.bench`` prints them; tests here assert exact counts and never a time."""
