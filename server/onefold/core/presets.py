"""Rules by name: Onefold's own, and what other products' documented policies would be in the same words.

They let people see what a policy would do to their own history. The sources are the vendors' documentation: Segment
Unify's identity resolution settings (one user_id, five of everything else, priority user_id, email, then
alphabetical), Snowplow Identities' concepts (one unique identifier, ambiguous devices), Adobe's identity graph
linking rules (unique namespaces, last login wins, at most 50 identities in a graph).
"""

from typing import Any, Final

from onefold.core.rules import Rules, parse_rules
from onefold.errors import RulesError

PRESETS: Final[dict[str, dict[str, Any]]] = {
    "onefold": {},
    "segment": {
        "identifiers": {
            "customer_id": {"priority": 1, "limit": 1, "on_conflict": "keep"},
            "email_hash": {"priority": 2, "limit": 5, "on_conflict": "keep"},
            "phone_hash": {"priority": 3, "limit": 5, "on_conflict": "keep"},
            "uid": {"priority": 4, "limit": 5, "on_conflict": "keep"},
        }
    },
    "snowplow": {
        "identifiers": {
            "customer_id": {"priority": 1, "unique": True, "on_conflict": "share"},
            "email_hash": {"priority": 2, "unique": False, "on_conflict": "share"},
            "phone_hash": {"priority": 3, "unique": False, "on_conflict": "share"},
            "uid": {"priority": 4, "on_conflict": "share"},
        }
    },
    "adobe": {
        "profile": {"max_identifiers": 50},
        "identifiers": {
            "customer_id": {"priority": 1, "unique": True, "on_conflict": "move"},
            "email_hash": {"priority": 2, "unique": False, "on_conflict": "move"},
            "phone_hash": {"priority": 3, "unique": False, "on_conflict": "move"},
            "uid": {"priority": 4, "on_conflict": "move"},
        },
    },
    "strict": {"identifiers": {"email_hash": {"unique": True}}},
}


def preset(name: str) -> Rules:
    """The rules of a preset. Raises RulesError for a name that is none."""
    if name not in PRESETS:
        raise RulesError(f"there is no preset {name!r}; there are {', '.join(PRESETS)}")
    return parse_rules(PRESETS[name])
