"""Onefold: first-party identity resolution. The website is a sensor, the endpoint is the brain.

What a site's own back end may import is here; everything else is the endpoint's business.
"""

from onefold.core.claims import sign_claim
from onefold.core.normalize import hash_value, normalize

__version__ = "0.1.0"

__all__ = ["__version__", "hash_value", "normalize", "sign_claim"]
