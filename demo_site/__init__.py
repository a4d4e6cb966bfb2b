"""The demo: two brands and a blog that know the endpoint only by its script tag.

Nothing here imports the endpoint: a site is a customer, and speaks HTTP.
"""

from demo_site.app import create_app

__all__ = ["create_app"]
