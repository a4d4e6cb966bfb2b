"""What the three sites are and what they sell. Data only."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Item:
    """Something with a page of its own: a product, an article or a membership. `price` is display text."""

    slug: str
    title: str
    summary: str
    body: tuple[str, ...]
    price: str = ""


@dataclass(frozen=True)
class Brand:
    """One site. `region` is the ISO country its visitors' phone numbers are national to.

    `offer` is what a checkout without a chosen item sells. `customer_numbers` says whether accounts have a `CUS…`
    number that the site tells the endpoint, `match_keys` whether its links also carry what ad platforms match on, and
    `marked` which forms the sensor reads by itself when they are sent; after all others the site calls it.
    """

    id: str
    name: str
    tagline: str
    intro: str
    kind: str
    section: str
    region: str
    phone_example: str
    customer_numbers: bool
    match_keys: bool
    marked: tuple[str, ...]
    newsletter: str
    items: tuple[Item, ...]
    offer: Item

    def item(self, slug: str) -> Item | None:
        """The item of that slug, the offer included; None where there is none."""
        return next((item for item in (*self.items, self.offer) if item.slug == slug), None)


_PACK = Item(
    "ridge-38",
    "Ridge 38 pack",
    "A two-day pack that stands up by itself and carries low.",
    (
        "Thirty-eight litres of waxed canvas over a light steel frame. One big room, one lid, no pockets to forget.",
        "Every seam can be opened with a single thread, so every part can be replaced. We stock all of them.",
    ),
    "€ 149",
)
_SHELL = Item(
    "larch-shell",
    "Larch rain shell",
    "Three layers, one zip, and a hood that turns with your head.",
    (
        "Made for the third hour of rain, when the first two have found every weak place. There is none to find.",
        "Free of fluorocarbons. Wash it warm, dry it hot, and the water beads again.",
    ),
    "€ 189",
)
_KETTLE = Item(
    "tarn-kettle",
    "Tarn kettle",
    "Four cups from a fire of twigs, with a handle that stays cool.",
    (
        "A wide, flat base takes in heat quickly, and the spout pours without a drip. It packs around a gas can.",
        "Spun from a single sheet of steel. It will outlive the stove and probably the tent.",
    ),
    "€ 42",
)
_THROW = Item(
    "linen-throw",
    "Linen throw",
    "Washed until soft, hemmed by hand, in the colour of wet sand.",
    (
        "Flax grown, spun and woven in one valley. It is heavy enough to stay on a shoulder, light enough for June.",
        "It creases. That is the point.",
    ),
    "£ 68",
)
_STOOL = Item(
    "ash-stool",
    "Ash stool",
    "A seat, a step, a bedside table. Three legs never rock.",
    (
        "Turned from a single ash board and wedged, not screwed. The seat is dished by a few millimetres: enough.",
        "Finished with soap, so a scratch is an afternoon's work and not a disaster.",
    ),
    "£ 95",
)
_LAMP = Item(
    "globe-lamp",
    "Globe lamp",
    "A round, warm light on a slim brass stem.",
    (
        "Mouth-blown opal glass spreads the light evenly, so a table has no bright spot and no dark corner.",
        "The cord is cloth, the switch is a proper one, and the bulb is yours to change.",
    ),
    "£ 120",
)
_MENDING = Item(
    "the-case-for-mending",
    "The case for mending",
    "A jumper with a history is worth more than a jumper with a label.",
    (
        "The hole was the size of a coin, and by the time the thread was in the needle it had become a conversation. "
        "Who had worn it through, and where, and why did nobody notice until now?",
        "To mend is to look closely at something you own. Most of what is thrown away was never looked at twice.",
        "Begin with a sock. It will be ugly. The second one will be less so, and by the fifth you will be choosing "
        "the colour of the patch so that people ask about it.",
    ),
)
_FERRY = Item(
    "a-slow-morning-on-the-ferry",
    "A slow morning on the ferry",
    "Forty minutes across grey water, with nothing at all to do.",
    (
        "The six-fifteen carries bread, newspapers, two schoolteachers and whoever could not sleep. Nobody talks until "
        "the harbour light is behind us.",
        "There is a faster boat now, at half past. The six-fifteen is still full.",
    ),
)
_BAKERY = Item(
    "what-the-bakery-knows",
    "What the bakery knows",
    "It recognises everybody, and it keeps no list.",
    (
        "She knows who takes the dark loaf, who is away this week, and who has a guest. None of it is written down, "
        "and all of it would be gone if you asked her to forget.",
        "It is the oldest kind of first-party data: given freely, for a reason both sides can see.",
    ),
)
_MEMBERSHIP = Item(
    "membership",
    "A year of Common Thread",
    "Four printed issues, sent in a paper envelope.",
    (
        "Members pay for the writing, so that nobody else has to. Four issues a year, about ninety pages each.",
        "Cancel whenever you like; keep the issues.",
    ),
    "€ 48",
)

BRANDS: Final[dict[str, Brand]] = {
    "brand-a": Brand(
        id="brand-a",
        name="Alder & Co",
        tagline="Things for outside, made to be kept.",
        intro="Packs, shells and kettles for people who come home wet and happy. Repaired for as long as you own them.",
        kind="Outdoor shop",
        section="products",
        region="NL",
        phone_example="06 12345678",
        customer_numbers=True,
        match_keys=True,
        marked=("newsletter",),  # a new customer's number is only known after the form
        newsletter="The trail letter: one route and one repair, once a month.",
        items=(_PACK, _SHELL, _KETTLE),
        offer=_PACK,
    ),
    "brand-b": Brand(
        id="brand-b",
        name="Birch Home",
        tagline="Quiet objects for everyday rooms.",
        intro="Linen, ash and opal glass. A small collection that changes slowly, because rooms do too.",
        kind="Home goods",
        section="products",
        region="GB",
        phone_example="07400 123456",
        customer_numbers=False,
        match_keys=False,
        marked=("newsletter", "signup"),
        newsletter="Notes from the workshop, four times a year.",
        items=(_THROW, _STOOL, _LAMP),
        offer=_THROW,
    ),
    "blog": Brand(
        id="blog",
        name="Common Thread",
        tagline="Essays on how people live with things.",
        intro="A small magazine about mending, making and paying attention. No advertisements, one new essay a week.",
        kind="Magazine",
        section="articles",
        region="NL",
        phone_example="06 12345678",
        customer_numbers=False,
        match_keys=False,
        marked=("newsletter", "signup"),
        newsletter="A new essay every Sunday morning.",
        items=(_MENDING, _FERRY, _BAKERY),
        offer=_MEMBERSHIP,
    ),
}
