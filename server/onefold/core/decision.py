"""The decision: what the resolver did with one event, step by step, and why.

A decision is complete: applying its steps to the graph it was made from is all that ever changes a graph.
"""

from typing import Final, Literal

import msgspec

from onefold.core.identifiers import Identifier

Outcome = Literal["created", "attached", "merged", "refused", "recorded"]
OUTCOMES: Final[tuple[Outcome, ...]] = ("created", "attached", "merged", "refused", "recorded")

Action = Literal["drop", "found", "link", "merge", "keep", "share", "move", "release", "associate"]


class Step(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True, gc=False):
    """One thing that happened to one identifier of the event.

    | action | meaning |
    | --- | --- |
    | drop | not usable: blocked, invalid, undeclared, or only recorded; `code` says which |
    | found | unseen, and founds the new profile the event is answered with |
    | link | belonged to nobody, now belongs to the event's profile |
    | merge | belonged to `profiles[0]`, which is now one with the event's profile |
    | keep | conflict: stays where it is, this event does not link it |
    | share | conflict: now shared by `profiles[0]` and the event's profile |
    | move | conflict: leaves `profiles[0]` for the event's profile |
    | release | made room for a moved or new identifier: belongs to nobody now |
    | associate | is shared, and is now linked to the event's profile as well |

    `rule` is the rule that a refusal rests on, e.g. `customer_id.limit=1`. `profiles` are the other profiles
    involved, by key.
    """

    action: Action
    identifier: Identifier
    code: str | None = None
    rule: str | None = None
    profiles: tuple[int, ...] = ()


class Decision(msgspec.Struct, frozen=True, gc=False):
    """What one event did. `profile` is the key of the profile it was answered with; None where it was refused whole.

    `merged` are the keys of the profiles that `profile` absorbed. `identifiers` are the event's usable ones, under
    their types' own names. `code` and `detail` say why a whole event was refused.
    """

    outcome: Outcome
    profile: int | None = None
    identifiers: tuple[Identifier, ...] = ()
    trace: tuple[Step, ...] = ()
    merged: tuple[int, ...] = ()
    code: str | None = None
    detail: str | None = None

    @property
    def refusals(self) -> tuple[Step, ...]:
        """The steps that did not do what the event asked, each with its code."""
        return tuple(step for step in self.trace if step.code is not None)
