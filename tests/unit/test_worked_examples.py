"""Identity resolution by example: every sentence of "The algorithm" as rules, events, and what comes of them.

Read an event as: its id, its identifiers, and what else it says. `email_hash:ada` stands for the hash of `ada`.
"""

from typing import Any, Final, NamedTuple

import pytest

from onefold.core.rules import parse_rules
from onefold.engine.resolve_file import resolve_lines
from support.memory import Memory
from support.outcome import check, event, hashed, lines
from support.streams import make_event, permitted

DAY: Final = 86_400_000
NULL_HASH: Final = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
ADA: Final = hashed("email_hash:ada").partition(":")[2]

DEFAULTS: Final[dict[str, Any]] = {}
NO_HEALING: Final[dict[str, Any]] = {"profile": {"heal": False}}


def rules(*, types: dict[str, dict[str, Any]] | None = None, **top: Any) -> dict[str, Any]:
    """A rules document without healing, so that each example shows one step of the algorithm alone."""
    profile = {"heal": False, **top.pop("profile", {})}
    return {"profile": profile, "identifiers": types or {}, **top}


class Example(NamedTuple):
    """One sentence of the specification, acted out."""

    title: str
    rules: dict[str, Any]
    events: list[dict[str, Any]]
    expect: dict[str, Any]


TWO_PEOPLE_ON_ONE_BROWSER: Final = [
    event("1", "customer_id:ann", "uid:kiosk"),
    event("2", "customer_id:bob", "uid:kiosk"),
]
EMAILS: Final = [f"email_hash:e{n}" for n in range(1, 7)]

DEFAULTS_THAT_FOLLOW: Final = [
    Example(
        "clearing storage and logging in again joins the old profile",
        DEFAULTS,
        [
            event("1", "uid:before"),
            event("2", "customer_id:ann", "uid:before"),
            event("3", "uid:after"),
            event("4", "customer_id:ann", "uid:after"),
        ],
        {"same": [["uid:before", "customer_id:ann", "uid:after"]], "merge_events": 1, "created_by": {"uid:after": "1"}},
    ),
    Example(
        "two emails under one customer id are one person",
        DEFAULTS,
        [
            event("1", "customer_id:ann", "email_hash:work", "uid:1"),
            event("2", "customer_id:ann", "email_hash:home", "uid:2"),
        ],
        {"same": [["email_hash:work", "email_hash:home", "uid:1", "uid:2"]], "shared": [], "profiles": 1},
    ),
    Example(
        "two customer ids on one uid are two people and the uid is shared",
        DEFAULTS,
        TWO_PEOPLE_ON_ONE_BROWSER,
        {
            "all_different": ["customer_id:ann", "customer_id:bob"],
            "shared": ["uid:kiosk"],
            "sharers": {"uid:kiosk": ["customer_id:ann", "customer_id:bob"]},
            "refusals": {"2": ["uid:kiosk share customer_id.limit=1"]},
        },
    ),
    Example(
        "five emails on one uid without a customer id are one person",
        DEFAULTS,
        [event(str(n), email, "uid:kiosk") for n, email in enumerate(EMAILS[:5], start=1)],
        {"same": [[*EMAILS[:5], "uid:kiosk"]], "shared": []},
    ),
    Example(
        "a sixth email on one uid without any customer id makes the uid shared",
        NO_HEALING,
        [event(str(n), email, "uid:kiosk") for n, email in enumerate(EMAILS, start=1)],
        {
            "shared": ["uid:kiosk"],
            "same": [EMAILS[:5]],
            "different": [["email_hash:e1", "email_hash:e6"]],
            "refusals": {"6": ["uid:kiosk share email_hash.limit=5"]},
        },
    ),
    Example(
        "a third, anonymous visitor on a shared uid is neither of the two",
        DEFAULTS,
        [*TWO_PEOPLE_ON_ONE_BROWSER, event("3", "uid:kiosk", session_id="s3")],
        {"event_profile": {"1": "Ann", "2": "Bob", "3": "somebody"}, "outcomes": {"3": "created"}},
    ),
]

STEP_1_USABLE_IDENTIFIERS: Final = [
    Example(
        "another name of a type means the type",
        DEFAULTS,
        [event("1", "user_id:ann", "anonymous_id:1"), event("2", "customer_id:ann", "domain_userid:2")],
        {"same": [["customer_id:ann", "uid:1", "uid:2"]]},
    ),
    Example(
        "an identifier sent twice, under two names, is one identifier",
        DEFAULTS,
        [event("1", "customer_id:ann", "user_id:ann", "uid:1", "uid:1")],
        {"outcomes": {"1": "created"}, "refusals": {"1": []}},
    ),
    Example(
        "hashes are matched in lower case",
        DEFAULTS,
        [event("1", f"email_hash:{ADA}", "uid:1"), event("2", f"email_hash:{ADA.upper()}", "uid:2")],
        {"same": [["email_hash:ada", "uid:1", "uid:2"]]},
    ),
    Example(
        "other values are matched as they are, letter by letter",
        DEFAULTS,
        [event("1", "customer_id:Ann"), event("2", "customer_id:ann")],
        {"all_different": ["customer_id:Ann", "customer_id:ann"]},
    ),
    Example(
        "a hash that is none is dropped, the rest of the event goes on",
        DEFAULTS,
        [event("1", "email_hash:!broken", "uid:1")],
        {"outcomes": {"1": "created"}, "refusals": {"1": ["email_hash:!broken invalid_identifier"]}},
    ),
    Example(
        "the hash of the empty string joins nobody",
        DEFAULTS,
        [event("1", f"email_hash:{NULL_HASH}", "uid:1"), event("2", f"email_hash:{NULL_HASH}", "uid:2")],
        {
            "all_different": ["uid:1", "uid:2"],
            "refusals": {"2": [f"email_hash:{NULL_HASH} blocked_identifier"]},
            "not_identifiers": [f"email_hash:{NULL_HASH}"],
        },
    ),
    Example(
        "a blocked value is dropped with a visible refusal",
        rules(types={"customer_id": {"blocked": ["test"], "blocked_patterns": ["^[0-]*$"]}}),
        [event("1", "customer_id:test", "uid:1"), event("2", "customer_id:000-00", "uid:2")],
        {
            "all_different": ["uid:1", "uid:2"],
            "refusals": {
                "1": ["customer_id:test blocked_identifier"],
                "2": ["customer_id:000-00 blocked_identifier"],
            },
        },
    ),
    Example(
        "a value outside the length its type asks for is dropped",
        rules(types={"customer_id": {"min_length": 3, "max_length": 5}}),
        [event("1", "customer_id:ab", "uid:1"), event("2", "customer_id:abcdef", "uid:1")],
        {
            "refusals": {"1": ["customer_id:ab invalid_identifier"], "2": ["customer_id:abcdef invalid_identifier"]},
            "outcomes": {"1": "created", "2": "attached"},
        },
    ),
    Example(
        "an undeclared type is refused, the rest of the event goes on",
        DEFAULTS,
        [event("1", "loyalty:7", "uid:1")],
        {"outcomes": {"1": "created"}, "refusals": {"1": ["loyalty:7 unknown_identifier_type"]}},
    ),
    Example(
        "where the rules allow it an undeclared type links like any other, after all declared ones",
        rules(allow_undeclared=True),
        [event("1", "loyalty:7", "uid:1"), event("2", "loyalty:7", "uid:2")],
        {"same": [["loyalty:7", "uid:1", "uid:2"]]},
    ),
    Example(
        "an undeclared type takes five values, a sixth is not linked",
        rules(allow_undeclared=True),
        [event(str(n), f"loyalty:{n}", "uid:1") for n in range(1, 7)],
        {"refusals": {"6": ["loyalty:6 keep loyalty.limit=5"]}, "free": ["loyalty:6"]},
    ),
    Example(
        "a merge that would give a profile more than five of an undeclared type is a conflict",
        rules(allow_undeclared=True),
        [
            event("1", "uid:1", *(f"loyalty:{n}" for n in range(1, 4))),
            event("2", "uid:2", *(f"loyalty:{n}" for n in range(4, 7))),
            event("3", "uid:1", "uid:2"),
        ],
        {"merge_events": 0, "refusals": {"3": ["uid:2 share loyalty.limit=5"]}},
    ),
    Example(
        "an event with nothing usable left is refused as a whole",
        DEFAULTS,
        [event("1", "customer_id:guest", "loyalty:7")],
        {"outcomes": {"1": "refused no_identifiers"}, "profiles": 0, "ledger": []},
    ),
    Example(
        "an event that came without any identifier is refused as a whole",
        DEFAULTS,
        [event("1")],
        {"outcomes": {"1": "refused no_identifiers"}, "profiles": 0},
    ),
    Example(
        "nobody sends a stand-in: the type is the resolver's own",
        rules(allow_undeclared=True),
        [event("1", "stand_in:uid:kiosk#s1", "uid:1")],
        {"refusals": {"1": ["stand_in:uid:kiosk#s1 unknown_identifier_type"]}},
    ),
    Example(
        "a source that may not link through a type has it recorded only",
        rules(types={"email_hash": {"sources": ["server"]}}),
        [
            event("1", "email_hash:ada", "uid:1", source="server"),
            event("2", "email_hash:ada", "uid:2", source="sensor"),
        ],
        {
            "all_different": ["uid:1", "uid:2"],
            "refusals": {"1": [], "2": ["email_hash:ada recorded_only"]},
        },
    ),
]

STEP_2_CONTRADICTIONS: Final = [
    Example(
        "two values of a unique type in one event refuse the whole event",
        DEFAULTS,
        [event("1", "customer_id:ann", "customer_id:bob", "uid:1"), event("2", "uid:1")],
        {
            "outcomes": {"1": "refused contradictory_identifiers", "2": "created"},
            "not_identifiers": ["customer_id:ann", "customer_id:bob"],
        },
    ),
    Example(
        "two values under two names of one unique type contradict each other too",
        DEFAULTS,
        [event("1", "customer_id:ann", "user_id:bob")],
        {"outcomes": {"1": "refused contradictory_identifiers"}},
    ),
    Example(
        "a blocked second value does not contradict the first",
        DEFAULTS,
        [event("1", "customer_id:ann", "user_id:guest")],
        {"outcomes": {"1": "created"}},
    ),
    Example(
        "two values of a type that is not unique are both linked",
        DEFAULTS,
        [event("1", "email_hash:work", "email_hash:home")],
        {"same": [["email_hash:work", "email_hash:home"]]},
    ),
]

STEP_3_ORDER: Final = [
    Example(
        "the most trusted type founds the target, whatever order the event names them in",
        DEFAULTS,
        [
            event("1", "email_hash:ada", "customer_id:ann"),
            event("2", "uid:2", "email_hash:ada", "customer_id:bob"),
        ],
        {
            "same": [["customer_id:bob", "uid:2"], ["customer_id:ann", "email_hash:ada"]],
            "different": [["customer_id:ann", "customer_id:bob"]],
            "refusals": {"2": ["email_hash:ada keep customer_id.limit=1"]},
        },
    ),
    Example(
        "among types of one priority the name decides, among values of one type the value",
        rules(types={"b": {"priority": 1, "limit": 1}, "a": {"priority": 1, "limit": 2}}),
        [event("1", "a:2", "b:1"), event("2", "a:1", "b:2"), event("3", "b:1", "a:1")],
        {"refusals": {"3": ["b:1 keep b.limit=1"]}, "event_profile": {"2": "Q", "3": "Q"}},
    ),
]

STEP_3_STAND_INS: Final = [
    Example(
        "one anonymous profile per session on a shared browser",
        DEFAULTS,
        [
            *TWO_PEOPLE_ON_ONE_BROWSER,
            event("3", "uid:kiosk", session_id="s3"),
            event("4", "uid:kiosk", session_id="s4"),
            event("5", "uid:kiosk", session_id="s3"),
        ],
        {"answered": {"1": "Ann", "2": "Bob", "3": "third", "4": "fourth", "5": "third"}, "profiles": 4},
    ),
    Example(
        "when somebody logs in during a session, that session's activity joins them",
        DEFAULTS,
        [
            *TWO_PEOPLE_ON_ONE_BROWSER,
            event("3", "uid:kiosk", session_id="s3"),
            event("4", "customer_id:ann", "uid:kiosk", session_id="s3"),
        ],
        {"event_profile": {"1": "Ann", "3": "Ann", "4": "Ann"}, "merge_events": 1, "shared": ["uid:kiosk"]},
    ),
    Example(
        "the first to log in has the session; a second login in it takes nothing",
        DEFAULTS,
        [
            *TWO_PEOPLE_ON_ONE_BROWSER,
            event("3", "customer_id:ann", "uid:kiosk", session_id="s3"),
            event("4", "customer_id:bob", "uid:kiosk", session_id="s3"),
            event("5", "uid:kiosk", session_id="s3"),
        ],
        {
            "event_profile": {"1": "Ann", "2": "Bob", "3": "Ann", "4": "Bob", "5": "Ann"},
            "refusals": {"4": ["uid:kiosk keep customer_id.limit=1"]},
        },
    ),
    Example(
        "what the newcomer does in the session that made the browser shared is the newcomer's",
        DEFAULTS,
        [
            event("1", "customer_id:ann", "uid:kiosk", session_id="s1"),
            event("2", "customer_id:bob", "uid:kiosk", session_id="s2"),
            event("3", "uid:kiosk", session_id="s2"),
        ],
        {"event_profile": {"1": "Ann", "2": "Bob", "3": "Bob"}, "outcomes": {"3": "attached"}},
    ),
    Example(
        "without a session all anonymous activity on a shared device is one profile, joined to nobody",
        DEFAULTS,
        [*TWO_PEOPLE_ON_ONE_BROWSER, event("3", "uid:kiosk"), event("4", "uid:kiosk")],
        {"answered": {"1": "Ann", "2": "Bob", "3": "device", "4": "device"}, "profiles": 3},
    ),
    Example(
        "without a session the stand-in is silent beside anything else",
        DEFAULTS,
        [
            *TWO_PEOPLE_ON_ONE_BROWSER,
            event("3", "uid:kiosk"),
            event("4", "customer_id:ann", "uid:kiosk"),
            event("5", "uid:kiosk"),
        ],
        {"event_profile": {"1": "Ann", "4": "Ann", "3": "device", "5": "device"}, "merge_events": 0},
    ),
    Example(
        "a known newcomer on a shared browser is linked to it as well",
        DEFAULTS,
        [*TWO_PEOPLE_ON_ONE_BROWSER, event("3", "customer_id:eve", "uid:kiosk")],
        {"sharers": {"uid:kiosk": ["customer_id:ann", "customer_id:bob", "customer_id:eve"]}},
    ),
    Example(
        "an anonymous profile is not linked to a shared browser",
        DEFAULTS,
        [*TWO_PEOPLE_ON_ONE_BROWSER, event("3", "uid:kiosk", session_id="s3"), event("4", "uid:own", "uid:kiosk")],
        {"sharers": {"uid:kiosk": ["customer_id:ann", "customer_id:bob"]}},
    ),
    Example(
        "two shared browsers have two stand-ins in one session",
        DEFAULTS,
        [
            *TWO_PEOPLE_ON_ONE_BROWSER,
            event("3", "customer_id:ann", "uid:till"),
            event("4", "customer_id:bob", "uid:till"),
            event("5", "uid:kiosk", session_id="s"),
            event("6", "uid:till", session_id="s"),
        ],
        {"event_profile": {"5": "at the kiosk", "6": "at the till"}},
    ),
    Example(
        "stand-ins do not count towards the cap of a profile: a full one still gets its sessions",
        rules(profile={"max_identifiers": 2}),
        [
            *TWO_PEOPLE_ON_ONE_BROWSER,
            event("3", "customer_id:ann", "email_hash:ada"),
            event("4", "customer_id:ann", "uid:kiosk", session_id="s4"),
            event("5", "uid:kiosk", session_id="s4"),
            event("6", "customer_id:ann", "uid:third"),
        ],
        {
            "event_profile": {"1": "Ann", "2": "Bob", "4": "Ann", "5": "Ann"},
            "refusals": {"4": [], "6": ["uid:third keep profile.max_identifiers=2"]},
            "shared": ["uid:kiosk"],
        },
    ),
]

STEP_4_LINK_AND_MERGE: Final = [
    Example(
        "unseen identifiers found one profile and are linked to it",
        DEFAULTS,
        [event("1", "customer_id:ann", "email_hash:ada", "uid:1")],
        {"same": [["customer_id:ann", "email_hash:ada", "uid:1"]], "outcomes": {"1": "created"}, "profiles": 1},
    ),
    Example(
        "an event that names only what is known changes nothing",
        DEFAULTS,
        [event("1", "customer_id:ann", "uid:1"), event("2", "uid:1", "customer_id:ann")],
        {"outcomes": {"2": "attached"}, "ledger": ["1 created"]},
    ),
    Example(
        "profiles that one event names together are merged",
        DEFAULTS,
        [event("1", "uid:1"), event("2", "email_hash:ada"), event("3", "email_hash:ada", "uid:1")],
        {
            "same": [["uid:1", "email_hash:ada"]],
            "outcomes": {"3": "merged"},
            "ledger": ["1 created", "2 created", "3 merged"],
        },
    ),
    Example(
        "an unseen, trusted identifier joins the profile of a less trusted one on the same event",
        DEFAULTS,
        [event("1", "uid:1"), event("2", "customer_id:ann", "uid:1")],
        {"outcomes": {"2": "attached"}, "created_by": {"customer_id:ann": "1"}, "merge_events": 0},
    ),
    Example(
        "the target grows as the walk goes on: what it gained counts for what follows",
        DEFAULTS,
        [
            event("1", "email_hash:ada", "uid:1"),
            event("2", "customer_id:bob", "uid:2"),
            event("3", "customer_id:ann", "email_hash:ada", "uid:2"),
        ],
        {
            "same": [["customer_id:ann", "email_hash:ada", "uid:1"]],
            "different": [["customer_id:ann", "customer_id:bob"]],
            "shared": ["uid:2"],
        },
    ),
    Example(
        "a limit that only one side fills does not stop a merge through it",
        rules(types={"email_hash": {"limit": 2}}),
        [event("1", "email_hash:a", "email_hash:b", "uid:1"), event("2", "uid:2"), event("3", "uid:1", "uid:2")],
        {"same": [["uid:1", "uid:2", "email_hash:a"]]},
    ),
    Example(
        "a merge whose union breaks a limit is a conflict",
        rules(types={"email_hash": {"limit": 2}}),
        [
            event("1", "email_hash:a", "email_hash:b", "uid:1"),
            event("2", "email_hash:c", "uid:2"),
            event("3", "uid:1", "uid:2"),
        ],
        {"refusals": {"3": ["uid:2 share email_hash.limit=2"]}, "merge_events": 0, "shared": ["uid:2"]},
    ),
    Example(
        "a merge whose union fits exactly is allowed",
        rules(types={"email_hash": {"limit": 2}}),
        [event("1", "email_hash:a", "uid:1"), event("2", "email_hash:c", "uid:2"), event("3", "uid:1", "uid:2")],
        {"same": [["uid:1", "uid:2"]], "refusals": {"3": []}},
    ),
    Example(
        "three profiles on one event become one",
        DEFAULTS,
        [event("1", "uid:1"), event("2", "uid:2"), event("3", "uid:3"), event("4", "uid:1", "uid:2", "uid:3")],
        {"same": [["uid:1", "uid:2", "uid:3"]], "merge_events": 1, "created_by": {"uid:3": "1"}},
    ),
]

STEP_4_CONFLICTS: Final = [
    Example(
        "keep: the identifier stays where it is and this event does not link it",
        rules(types={"email_hash": {"on_conflict": "keep"}}),
        [event("1", "customer_id:ann", "email_hash:ada"), event("2", "customer_id:bob", "email_hash:ada")],
        {
            "same": [["customer_id:ann", "email_hash:ada"]],
            "refusals": {"2": ["email_hash:ada keep customer_id.limit=1"]},
            "shared": [],
        },
    ),
    Example(
        "share: it belongs to nobody alone, is linked to both and no longer joins anybody",
        rules(types={"email_hash": {"on_conflict": "share"}}),
        [
            event("1", "customer_id:ann", "email_hash:ada"),
            event("2", "customer_id:bob", "email_hash:ada"),
            event("3", "email_hash:ada", "uid:new"),
        ],
        {
            "shared": ["email_hash:ada"],
            "sharers": {"email_hash:ada": ["customer_id:ann", "customer_id:bob"]},
            "event_profile": {"1": "Ann", "2": "Bob", "3": "new"},
        },
    ),
    Example(
        "move: the newest evidence wins",
        rules(types={"email_hash": {"on_conflict": "move"}}),
        [event("1", "customer_id:ann", "email_hash:ada"), event("2", "customer_id:bob", "email_hash:ada")],
        {
            "same": [["customer_id:bob", "email_hash:ada"]],
            "different": [["customer_id:ann", "email_hash:ada"]],
            "refusals": {"2": ["email_hash:ada move customer_id.limit=1"]},
        },
    ),
    Example(
        "move: where the target's own limit is full its oldest identifier of the type is released",
        rules(types={"email_hash": {"on_conflict": "move", "limit": 2}}),
        [
            event("1", "customer_id:bob", "email_hash:b1"),
            event("2", "customer_id:bob", "email_hash:b2"),
            event("3", "customer_id:ann", "email_hash:ada"),
            event("4", "customer_id:bob", "email_hash:ada"),
        ],
        {"same": [["customer_id:bob", "email_hash:b2", "email_hash:ada"]], "free": ["email_hash:b1"]},
    ),
    Example(
        "keep: an unseen identifier beyond the limit is not linked",
        rules(types={"email_hash": {"on_conflict": "keep", "limit": 1}}),
        [event("1", "customer_id:ann", "email_hash:a"), event("2", "customer_id:ann", "email_hash:b")],
        {
            "refusals": {"2": ["email_hash:b keep email_hash.limit=1"]},
            "free": ["email_hash:b"],
            "outcomes": {"2": "attached"},
        },
    ),
    Example(
        "share: an unseen identifier beyond the limit is not linked either, and not shared",
        rules(types={"email_hash": {"on_conflict": "share", "limit": 1}}),
        [event("1", "customer_id:ann", "email_hash:a"), event("2", "customer_id:ann", "email_hash:b")],
        {"refusals": {"2": ["email_hash:b keep email_hash.limit=1"]}, "free": ["email_hash:b"], "shared": []},
    ),
    Example(
        "move: an unseen identifier beyond the limit displaces the oldest",
        rules(types={"email_hash": {"on_conflict": "move", "limit": 1}}),
        [event("1", "customer_id:ann", "email_hash:a"), event("2", "customer_id:ann", "email_hash:b")],
        {"same": [["customer_id:ann", "email_hash:b"]], "free": ["email_hash:a"]},
    ),
    Example(
        "an identifier that was released is nobody's, and the next event that names it may have it",
        rules(types={"email_hash": {"on_conflict": "move", "limit": 1}}),
        [
            event("1", "customer_id:ann", "email_hash:a"),
            event("2", "customer_id:ann", "email_hash:b"),
            event("3", "customer_id:bob", "email_hash:a"),
        ],
        {"same": [["customer_id:bob", "email_hash:a"]], "refusals": {"3": []}},
    ),
    Example(
        "a conflict on one identifier does not stop the walk",
        DEFAULTS,
        [
            event("1", "customer_id:ann", "email_hash:ada"),
            event("2", "customer_id:bob", "email_hash:ada", "uid:2"),
        ],
        {"same": [["customer_id:bob", "uid:2"]], "outcomes": {"2": "created"}},
    ),
    Example(
        "a profile emptied by move is not found through what it lost",
        rules(types={"uid": {"on_conflict": "move"}}),
        [event("1", "customer_id:ann", "uid:1"), event("2", "customer_id:bob", "uid:1"), event("3", "uid:1")],
        {"event_profile": {"2": "Bob", "3": "Bob", "1": "Ann"}},
    ),
]

CAPS_AND_WINDOWS: Final = [
    Example(
        "a full profile takes no more; the event still resolves, with a visible refusal",
        rules(profile={"max_identifiers": 2}),
        [event("1", "customer_id:ann", "uid:1"), event("2", "customer_id:ann", "uid:2")],
        {
            "refusals": {"2": ["uid:2 keep profile.max_identifiers=2"]},
            "event_profile": {"1": "Ann", "2": "Ann"},
            "free": ["uid:2"],
        },
    ),
    Example(
        "a merge that would overfill a profile is a conflict",
        rules(profile={"max_identifiers": 3}),
        [event("1", "customer_id:ann", "uid:1"), event("2", "email_hash:ada", "uid:2"), event("3", "uid:1", "uid:2")],
        {"refusals": {"3": ["uid:2 share profile.max_identifiers=3"]}, "merge_events": 0},
    ),
    Example(
        "a profile takes part in so many merges and no more",
        rules(profile={"max_merges": 1}),
        [
            *(event(str(n), f"uid:{n}") for n in range(1, 4)),
            event("4", "uid:1", "uid:2"),
            event("5", "uid:1", "uid:3"),
        ],
        {"same": [["uid:1", "uid:2"]], "merge_events": 1, "refusals": {"5": ["uid:3 share profile.max_merges=1"]}},
    ),
    Example(
        "merges of both sides are counted together",
        rules(profile={"max_merges": 2}),
        [
            *(event(str(n), f"uid:{n}") for n in range(1, 5)),
            event("5", "uid:1", "uid:2"),
            event("6", "uid:3", "uid:4"),
            event("7", "uid:1", "uid:3"),
        ],
        {"merge_events": 2, "refusals": {"7": ["uid:3 share profile.max_merges=2"]}},
    ),
    Example(
        "a window counts only what was linked inside it",
        rules(types={"uid": {"limit": 1, "window": "weekly", "on_conflict": "keep"}}),
        [
            event("1", "customer_id:ann", "uid:1", ts=0),
            event("2", "customer_id:ann", "uid:2", ts=6 * DAY),
            event("3", "customer_id:ann", "uid:3", ts=7 * DAY),
        ],
        {
            "refusals": {"2": ["uid:2 keep uid.limit=1"], "3": []},
            "same": [["customer_id:ann", "uid:1", "uid:3"]],
            "free": ["uid:2"],
        },
    ),
    *(
        Example(
            f"{window} means {days} days",
            rules(types={"uid": {"limit": 1, "window": window, "on_conflict": "keep"}}),
            [
                event("1", "customer_id:ann", "uid:1", ts=0),
                event("2", "customer_id:ann", "uid:2", ts=days * DAY - 1),
                event("3", "customer_id:ann", "uid:3", ts=days * DAY),
            ],
            {"free": ["uid:2"], "same": [["uid:1", "uid:3"]]},
        )
        for window, days in {"annually": 365, "monthly": 30, "weekly": 7, "daily": 1}.items()
    ),
    Example(
        "a window counts for merges too",
        rules(types={"email_hash": {"limit": 1, "window": "daily"}}),
        [
            event("1", "email_hash:a", "uid:1", ts=0),
            event("2", "email_hash:b", "uid:2", ts=0),
            event("3", "uid:1", "uid:2", ts=2 * DAY),
        ],
        {"same": [["email_hash:a", "email_hash:b", "uid:1", "uid:2"]]},
    ),
    Example(
        "under move a full window releases the oldest inside it",
        rules(types={"email_hash": {"limit": 1, "window": "daily", "on_conflict": "move"}}),
        [
            event("1", "customer_id:ann", "email_hash:old", ts=0),
            event("2", "customer_id:ann", "email_hash:today", ts=9 * DAY),
            event("3", "customer_id:ann", "email_hash:now", ts=9 * DAY + 1),
        ],
        {"same": [["customer_id:ann", "email_hash:old", "email_hash:now"]], "free": ["email_hash:today"]},
    ),
]

STEPS_5_AND_6_SURVIVORS: Final = [
    Example(
        "the oldest profile survives, not the most trusted or the largest",
        DEFAULTS,
        [
            event("1", "uid:1", ts=900),
            event("2", "customer_id:ann", "email_hash:ada", "uid:2", ts=100),
            event("3", "customer_id:ann", "uid:1", ts=1000),
        ],
        {"created_by": {"customer_id:ann": "1"}, "answered": {"1": "first", "3": "first", "2": "second"}},
    ),
    Example(
        "ids merged long ago resolve to the last survivor",
        DEFAULTS,
        [
            *(event(str(n), f"uid:{n}") for n in range(1, 5)),
            event("5", "uid:3", "uid:4"),
            event("6", "uid:2", "uid:3"),
            event("7", "uid:1", "uid:4"),
        ],
        {"event_profile": {"4": "P", "5": "P", "6": "P", "7": "P", "1": "P"}, "profiles": 1, "merge_events": 3},
    ),
    Example(
        "the event is attributed to the profile as it is after merging",
        DEFAULTS,
        [event("1", "uid:1"), event("2", "customer_id:ann"), event("3", "customer_id:ann", "uid:1")],
        {"answered": {"1": "first", "3": "first", "2": "second"}},
    ),
    Example(
        "an event id seen before changes nothing and gets the same answer",
        DEFAULTS,
        [event("1", "uid:1"), event("1", "customer_id:bob", "uid:9")],
        {"profiles": 1, "not_identifiers": ["customer_id:bob", "uid:9"], "ledger": ["1 created"]},
    ),
]

TRUST: Final = [
    Example(
        "unsigned = attach: an unsigned event may link new identifiers",
        rules(unsigned="attach"),
        [event("1", "uid:1"), event("2", "customer_id:ann", "uid:1"), event("3", "email_hash:new", "uid:1")],
        {"same": [["customer_id:ann", "uid:1", "email_hash:new"]], "refusals": {"2": [], "3": []}},
    ),
    Example(
        "unsigned = attach: it may merge anonymous profiles, and one of them with a known one",
        rules(unsigned="attach"),
        [
            event("1", "uid:1"),
            event("2", "uid:2"),
            event("3", "customer_id:ann"),
            event("4", "uid:1", "uid:2"),
            event("5", "customer_id:ann", "uid:1"),
        ],
        {"same": [["uid:1", "uid:2", "customer_id:ann"]], "merge_events": 2},
    ),
    Example(
        "unsigned = attach: it never merges two profiles that each hold a personal identifier",
        rules(unsigned="attach"),
        [event("1", "customer_id:ann"), event("2", "email_hash:ada"), event("3", "customer_id:ann", "email_hash:ada")],
        {"merge_events": 0, "refusals": {"3": ["email_hash:ada keep unsigned=attach"]}},
    ),
    Example(
        "unsigned = attach: a verified event merges them",
        rules(unsigned="attach"),
        [
            event("1", "customer_id:ann"),
            event("2", "email_hash:ada"),
            event("3", "customer_id:ann", "email_hash:ada", verified=True),
        ],
        {"same": [["customer_id:ann", "email_hash:ada"]], "merge_events": 1},
    ),
    Example(
        "unsigned = merge, the default: nobody asks for a signature",
        DEFAULTS,
        [event("1", "customer_id:ann"), event("2", "email_hash:ada"), event("3", "customer_id:ann", "email_hash:ada")],
        {"same": [["customer_id:ann", "email_hash:ada"]]},
    ),
    Example(
        "unsigned = refuse: personal identifiers without a signature are dropped, the browser's own stays",
        rules(unsigned="refuse"),
        [event("1", "customer_id:ann", "uid:1"), event("2", "customer_id:ann", "uid:2", verified=True)],
        {
            "refusals": {"1": ["customer_id:ann unverified"], "2": []},
            "same": [["customer_id:ann", "uid:2"]],
            "different": [["uid:1", "uid:2"]],
        },
    ),
]

EXAMPLES: Final = [
    *DEFAULTS_THAT_FOLLOW,
    *STEP_1_USABLE_IDENTIFIERS,
    *STEP_2_CONTRADICTIONS,
    *STEP_3_ORDER,
    *STEP_3_STAND_INS,
    *STEP_4_LINK_AND_MERGE,
    *STEP_4_CONFLICTS,
    *CAPS_AND_WINDOWS,
    *STEPS_5_AND_6_SURVIVORS,
    *TRUST,
]


@pytest.mark.parametrize("example", [pytest.param(example, id=example.title) for example in EXAMPLES])
def test_example(example: Example) -> None:
    """The events, resolved in order under the rules, have the outcome that the title claims."""
    check(resolve_lines(lines(example.events), parse_rules(example.rules)), hashed(example.expect))


def test_every_example_has_its_own_title() -> None:
    titles = [example.title for example in EXAMPLES]
    assert len(set(titles)) == len(titles)


def test_the_ledger_entry_of_a_merge_holds_the_facts_of_the_merge() -> None:
    events = [
        event("1", "uid:1", ts=100),
        event("2", "uid:2", ts=200),
        event("3", "customer_id:ann", ts=300),
        event("4", "uid:1", "uid:2", ts=400),
        event("5", "customer_id:ann", "uid:1", ts=500),
    ]
    result = resolve_lines(lines(events), parse_rules({}))
    one, two, three = (item["profile"] for item in result["events"][:3])
    assert [entry for entry in result["ledger"] if entry["kind"] == "merged"] == [
        {
            "kind": "merged",
            "at": 400,
            "event_id": "4",
            "survivor": one,
            "created_at": 100,
            "merged": [two],
            "merges": [two],
            "facts": [{"profile": two, "created_at": 200, "merged_at": 400, "triggering_event_id": "4"}],
        },
        {
            "kind": "merged",
            "at": 500,
            "event_id": "5",
            "survivor": one,
            "created_at": 100,
            "merged": [three],
            "merges": [two, three],
            "facts": [{"profile": three, "created_at": 300, "merged_at": 500, "triggering_event_id": "5"}],
        },
    ]


def test_one_event_that_merges_many_writes_one_ledger_entry_with_a_fact_for_each() -> None:
    events = [*(event(str(n), f"uid:{n}", ts=n) for n in range(1, 5)), event("5", *(f"uid:{n}" for n in range(1, 5)))]
    result = resolve_lines(lines(events), parse_rules({}))
    (entry,) = [entry for entry in result["ledger"] if entry["kind"] == "merged"]
    assert entry["merged"] == [fact["profile"] for fact in entry["facts"]]
    assert [fact["created_at"] for fact in entry["facts"]] == [2, 3, 4]


def test_the_ledger_entry_of_a_shared_identifier_names_the_rule_and_both_profiles() -> None:
    result = resolve_lines(lines(TWO_PEOPLE_ON_ONE_BROWSER), parse_rules({}))
    ann, bob = (item["profile"] for item in result["events"])
    (entry,) = [entry for entry in result["ledger"] if entry["kind"] == "shared"]
    assert (entry["identifier"], entry["rule"], entry["profiles"]) == ("uid:kiosk", "customer_id.limit=1", [ann, bob])


def test_a_refusal_names_the_profiles_involved() -> None:
    result = resolve_lines(lines(TWO_PEOPLE_ON_ONE_BROWSER), parse_rules({}))
    ann, bob = (item["profile"] for item in result["events"])
    assert result["events"][1]["refusals"][0]["profiles"] == [ann, bob]


def test_a_profile_id_depends_on_the_founding_identifier_alone() -> None:
    alone = resolve_lines(lines([event("7", "uid:1", ts=5)]), parse_rules({}))
    among_others = resolve_lines(lines([event("1", "uid:2"), event("2", "uid:1")]), parse_rules({}))
    assert alone["events"][0]["profile"] == among_others["events"][1]["profile"]


def test_an_identifier_that_founds_again_founds_another_id() -> None:
    """A uid that moved away from the profile it founded, was released there, and starts over."""
    document = rules(types={"uid": {"on_conflict": "move", "limit": 1}})
    events = [
        event("1", "uid:1"),
        event("2", "customer_id:ann", "uid:1"),
        event("3", "customer_id:ann", "uid:2"),
        event("4", "uid:1"),
    ]
    result = resolve_lines(lines(events), parse_rules(document))
    assert result["events"][3]["outcome"] == "created"
    assert result["events"][3]["profile"] != result["events"][0]["profile"]


@pytest.mark.parametrize("names", [("uid:known", "uid:new"), ("uid:new", "uid:known")])
def test_a_profile_beyond_a_limit_that_became_tighter_still_merges_with_one_that_holds_none(
    names: tuple[str, str],
) -> None:
    """A side that holds no identifier of a type makes a limit no worse and never blocks a merge."""
    loose, tight = (rules(types={"email_hash": {"hashed": False, "limit": limit}}) for limit in (2, 1))
    memory = Memory(parse_rules(loose))
    memory.take(permitted(make_event("1", "email_hash:a", "email_hash:b", "uid:known")))
    memory.change_rules(parse_rules(tight))
    memory.take(permitted(make_event("2", "uid:new")))
    decision = memory.take(permitted(make_event("3", *names)))
    assert decision is not None
    assert (decision.outcome, decision.refusals) == ("merged", ())
