"""The web plane: a Flask application, one blueprint per plane."""

from onefold.web.app import create_app

__all__ = ["create_app"]
