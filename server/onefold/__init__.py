"""Onefold: first-party identity resolution. The website is a sensor, the endpoint is the brain."""

__version__ = "0.1.0"
