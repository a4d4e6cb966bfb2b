"""Hold the sensor's normalisation against the endpoint's: same answer for the same text, or fail.

    python tools/fuzz.py [--type email|name|phone|all] [--count 200000] [--seed 1]
    python tools/fuzz.py --sweep [--type ...]

Random texts are made to be awkward: real numbers of every region and type in many renderings, scripts
whose lower case depends on the neighbours, marks that reorder, characters newer than Unicode 14, lone
surrogates. `--sweep` puts every single code point, 0 to 0x10ffff, into each of several contexts (for
phone numbers all but most ideographs, syllables and unassigned ones).
Prints a count and the share that was refused; the first differences and exit status 1 where the two
sides disagree.
"""

from __future__ import annotations

import argparse
import json
import random
import re._parser as regex_parser  # type: ignore[import-not-found]
import subprocess
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import phonenumbers
from phonenumbers import PhoneNumberFormat, PhoneNumberType
from phonenumbers.phonemetadata import PhoneMetadata

from onefold.core.normalize import normalize

NODE_SIDE = Path(__file__).with_name("normalize-lines.mjs")
BATCH = 50_000
Case = tuple[str, str, str | None]
REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
TYPES = {
    PhoneNumberType.FIXED_LINE: "fixed_line",
    PhoneNumberType.MOBILE: "mobile",
    PhoneNumberType.TOLL_FREE: "toll_free",
    PhoneNumberType.PREMIUM_RATE: "premium_rate",
    PhoneNumberType.SHARED_COST: "shared_cost",
    PhoneNumberType.VOIP: "voip",
    PhoneNumberType.PERSONAL_NUMBER: "personal_number",
    PhoneNumberType.PAGER: "pager",
    PhoneNumberType.UAN: "uan",
    PhoneNumberType.VOICEMAIL: "voicemail",
}

# --- text ----------------------------------------------------------------------------------------

SPACES = [chr(c) for c in (9, 10, 11, 12, 13, 32, 0x1C, 0x85, 0xA0, 0x1680, 0x2003, 0x2028, 0x202F)]
SPACES += [chr(c) for c in (0x205F, 0x3000, 0x180E, 0x200B, 0xFEFF)]
AWKWARD = list("ΣσςİIıiſKÅßẞǅΐΰﬁŉǰÀàĀå'’.·:_-^´`¨\u0345\u0301\u0300\u0307\u0327\u0323\u0308\u03b9")
AWKWARD += list("ᾳᾼΆ각각か\u3099がㅎ\u0f71\u0f72\u0f74\u0958\u09c7\u09be\u2126\U0001d15e\ufb1d\u0344\u0374")
POOLS: list[list[str]] = [
    list("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+-_"),
    list("abcXYZ."),
    SPACES,
    AWKWARD,
    [chr(c) for c in range(0x300, 0x370)],
    [chr(c) for c in range(0x370, 0x530)],
    [chr(c) for c in range(0x1E00, 0x2000)],
    [chr(c) for c in range(0x1100, 0x1200)] + [chr(c) for c in range(0xAC00, 0xAC40)],
]


def later_points() -> list[str]:
    """Return the code points that Unicode 14 does not know and a later version does."""
    script = (
        "let o=[];for(let c=0;c<0x110000;c++)"
        "if(/\\P{Cn}/u.test(String.fromCodePoint(c)))o.push(c);console.log(JSON.stringify(o))"
    )
    known = json.loads(subprocess.run(["node", "-e", script], capture_output=True, check=True).stdout)
    return [chr(point) for point in known if unicodedata.category(chr(point)) == "Cn"]


def random_text(rng: random.Random, later: list[str], longest: int = 12) -> str:
    """Make a text from several pools, with anything at all in between."""
    pools = [*rng.sample(POOLS, 2), POOLS[0]]
    if rng.random() < 0.3:
        pools.append(later)
    text = []
    for _ in range(rng.randrange(longest)):
        if rng.random() < 0.05:
            text.append(chr(rng.randrange(0x110000)))
        text.append(rng.choice(rng.choice(pools)))
    return "".join(text)


def email_texts(rng: random.Random, later: list[str]) -> Iterator[Case]:
    """Make addresses and near-addresses without end."""
    domains = ["gmail.com", "GMAIL.COM", "Gmail.Com ", "ɢmail.com", "gmail.com.", "example.com", ""]
    while True:
        domain = rng.choice(domains) if rng.random() < 0.6 else random_text(rng, later, 8)
        glue = "@" if rng.random() < 0.9 else rng.choice(["", "@@", " @", "＠", "@ "])
        text = random_text(rng, later) + glue + domain
        if rng.random() < 0.3:
            text = rng.choice(SPACES) + text + rng.choice(SPACES)
        yield "email", text, None


def name_texts(rng: random.Random, later: list[str]) -> Iterator[Case]:
    """Make names and near-names without end."""
    while True:
        words = [random_text(rng, later, 8) for _ in range(rng.randrange(1, 4))]
        yield "name", rng.choice(SPACES).join(words), None


# --- phone ---------------------------------------------------------------------------------------


def sample(rng: random.Random, parsed: Any) -> str:
    """Make a text that a parsed regular expression matches."""
    out = ""
    for op, arg in parsed:
        kind = str(op)
        if kind == "LITERAL":
            out += chr(arg)
        elif kind == "IN":
            out += sample_class(rng, arg)
        elif kind == "SUBPATTERN":
            out += sample(rng, arg[3])
        elif kind == "BRANCH":
            out += sample(rng, rng.choice(arg[1]))
        elif kind == "MAX_REPEAT":
            low, high, body = arg
            out += "".join(sample(rng, body) for _ in range(rng.randint(low, high)))
        else:
            raise ValueError(kind)
    return out


def sample_class(rng: random.Random, members: Any) -> str:
    """Pick one digit of a character class."""
    kind, arg = rng.choice(members)
    if str(kind) == "LITERAL":
        return chr(arg)
    return chr(rng.randint(*arg)) if str(kind) == "RANGE" else str(rng.randrange(10))


def plan_number(rng: random.Random, region: str) -> str:
    """Make a national number: an example, one drawn from a type's pattern, or of any length."""
    plan: Any = PhoneMetadata.metadata_for_region(region)
    draw = rng.random()
    name = "general_desc" if draw > 0.7 else TYPES[rng.choice(list(TYPES))]
    desc = getattr(plan, name)
    if desc is None or not desc.national_number_pattern or draw < 0.1:
        return "".join(rng.choice("0123456789") for _ in range(rng.randrange(1, 19)))
    if draw < 0.3 and desc.example_number:
        return str(desc.example_number)
    return sample(rng, regex_parser.parse(desc.national_number_pattern))


def script_digits(text: str, zero: int) -> str:
    """Write the digits of a text in another script."""
    return "".join(chr(zero + int(c)) if c in "0123456789" else c for c in text)


def wide(text: str) -> str:
    """Write a text in full-width characters."""
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


def split(rng: random.Random, text: str, glue: str) -> str:
    """Put a separator at some places of a text."""
    return "".join(c + (glue if rng.random() < 0.3 else "") for c in text)


EXTENSIONS = ["x12", " ext. 123", ";ext=7", " extensión 5", " EXTENSIÓN 5", ",,5", ";123#", " int 9"]
EXTENSIONS += [" ｅｘｔ 1", " доб 12", " ДОБ.12", " anexo 3", "- 503#", "#44", " ~55", " x302/x2303", ",5,6"]
EXTENSIONS += [" extenſion 4", " ıNT 4", " İnt 5", " ext" + "1" * 21, "x" + "1" * 10, " \u1c81\u1c82б 2"]
TRAILERS = ["", " ", ".", "\n", "'", "]", "_", "#", "é", "中", "ª", " or 5", "/x5", "\u20dd", "\U0001e4d0"]


def render(rng: random.Random, region: str, national: str) -> str:
    """Write a national number in one of the ways people do."""
    code = str(phonenumbers.country_code_for_region(region))
    plan: Any = PhoneMetadata.metadata_for_region(region)
    trunk = plan.national_prefix or "0"
    idd = rng.choice(["00", "011", "00 ", "810", "0011", plan.international_prefix or "00"])
    idd = idd if re_plain(idd) else sample(rng, regex_parser.parse(idd))
    parsed = phonenumbers.PhoneNumber(country_code=int(code), national_number=int(national))
    styles = [
        f"+{code}{national}",
        f"+{code} {national}",
        f"+{code}(0){national}",
        f"+{code}{trunk}{national}",
        f"(+{code}) {national}",
        f"{code}{national}",
        f"{code} {national}",
        f"{idd}{code}{national}",
        f"{idd}{national}",
        national,
        trunk + national,
        f"tel:{national};phone-context=+{code}",
        f"tel:{national};phone-context={rng.choice(['example.com', 'a-b.c', '+', '', '-', 'x.9'])}",
        f"tel:+{code}-{national};isub=123",
        f"Tel: +{code} {national}",
        f"++{code}{national}",
        f"＋{code}{national}",
        phonenumbers.format_number(parsed, rng.choice([0, 1, 2, 3])),
        phonenumbers.format_number(parsed, PhoneNumberFormat.NATIONAL),
    ]
    return rng.choice(styles)


def bare(rng: random.Random, region: str) -> str:
    """Write digits only, with or without code and prefix: what the shortened patterns decide."""
    code = str(phonenumbers.country_code_for_region(region))
    plan: Any = PhoneMetadata.metadata_for_region(region)
    prefix = plan.national_prefix or "0"
    text = plan_number(rng, region)
    for part in rng.choice([[], [code], [prefix], [code, prefix], [prefix, code], [code, code]]):
        text = part + text
    if rng.random() < 0.3:
        at = rng.randrange(len(text))
        text = text[:at] + rng.choice([*"0123456789", ""]) + text[at + 1 :]
    return text


def re_plain(text: str) -> bool:
    """Tell whether a text is no regular expression."""
    return all(c in "0123456789 " for c in text)


def dress(rng: random.Random, text: str) -> str:
    """Disguise a number: separators, other scripts, extensions, letters, marks."""
    if rng.random() < 0.5:
        glue = ["-", ".", " ", "/", "\xa0", "\u2011", "\u200b", "\u2060", "~", ")(", "\u202a", "\u200e", ","]
        text = split(rng, text, rng.choice(glue))
    draw = rng.random()
    if draw < 0.06:
        text = wide(text)
    elif draw < 0.14:
        text = script_digits(text, rng.choice([0x660, 0x6F0, 0x966, 0x1D7CE, 0x1D7F6, 0xFF10, 0x1E950]))
    elif draw < 0.17:
        text = script_digits(text, rng.choice([0x1E4F0, 0x10D40, 0x11BF0, 0x1CCF0, 0x116D0, 0x2460]))
    if rng.random() < 0.2:
        text += rng.choice(EXTENSIONS)
    if rng.random() < 0.1:
        text = "".join(rng.choice("ABCxyzSſıK") if rng.random() < 0.3 else c for c in text)
    if rng.random() < 0.1:
        text = rng.choice(["\u202a", "\u200e", "+", "*", "(", " ", "T: ", "\ufeff", "\ud800"]) + text
    if rng.random() < 0.2:
        text += rng.choice(TRAILERS)
    return text


def arbitrary(rng: random.Random) -> str:
    """Make a text out of everything a number's parser has a rule for."""
    bits = "0 1 2 3 4 5 6 7 8 9 00 011 + ＋ - ( ) . / x X ext ;ext= # , ; ~ * tel: ;phone-context= ;isub="
    pool = [*bits.split(), " ", "\t", "\n", "\xa0", "٣", "５", "²", "①", "A", "b", "ſ", "é", "доб", "\u0301"]
    pool += list("0123456789") * 4
    size = rng.randrange(245, 256) if rng.random() < 0.01 else rng.randrange(1, 25)
    return "".join(rng.choice(pool) for _ in range(size))


def phone_texts(rng: random.Random, later: list[str]) -> Iterator[Case]:
    """Make numbers and near-numbers without end."""
    odd: list[str | None] = [None, "nl", "ZZ", "XX", "001", "", "N"]
    while True:
        region = rng.choice(REGIONS)
        kind = rng.random()
        if kind < 0.15:
            text = arbitrary(rng)
        elif kind < 0.4:
            text = bare(rng, region)
        else:
            text = render(rng, region, plan_number(rng, region))
            text = dress(rng, text) if rng.random() < 0.6 else text
        if rng.random() < 0.05:
            text = text + rng.choice(later)
        draw = rng.random()
        given = region if draw < 0.8 else rng.choice(REGIONS) if draw < 0.9 else rng.choice(odd)
        yield "phone", text, given


# --- sweep ---------------------------------------------------------------------------------------

SWEEP = {
    "name": ["{}", "a{}b", "A{}Σ", "1{}Σ", "AΣ{}B", "AΣ{}", "e{}\u0301", "{}\u0323\u0307", " {} "],
    "email": ["{}@x.y", "a{}b@gmail.com", "a@{}", " {}a@b{}"],
    "phone": [
        "{}+31612345678",
        "+31612345678{}",
        "+316{}12345678",
        "+31612345678 e{}t 12",
        "06{}1234 5678x{}9",
        "0612345678 {}nt 12",
        "080{}FLOWER",
        "0612345678;phone-context={}.nl",
    ],
}


def sweep(kind: str) -> Iterator[Case]:
    """Put every code point into every context of a type; phone numbers take a while, so see `dull`."""
    for point in range(0x110000):
        if kind == "phone" and dull(point):
            continue
        for context in SWEEP[kind]:
            yield kind, context.replace("{}", chr(point)), "NL"


def dull(point: int) -> bool:
    """Tell of most ideographs, syllables and free places that they need no try: every 61st is enough."""
    category = unicodedata.category(chr(point))
    return point % 61 != 0 and (category in ("Cn", "Co") or (category == "Lo" and point > 0x3400))


# --- run -----------------------------------------------------------------------------------------

MAKERS = {"email": email_texts, "name": name_texts, "phone": phone_texts}


def ask_sensor(cases: list[Case]) -> list[str | None]:
    """Normalise cases with the sensor's own source, under Node."""
    lines = "".join(json.dumps(case) + "\n" for case in cases)
    command = ["node", str(NODE_SIDE)]
    run = subprocess.run(command, input=lines.encode(), capture_output=True, check=True)
    return [json.loads(line) for line in run.stdout.splitlines()]


def compare(cases: Iterable[Case]) -> int:
    """Compare both sides over all cases; print what happened and return the number of differences."""
    todo = iter(cases)
    total = refused = wrong = 0
    while batch := list(islice(todo, BATCH)):
        for case, theirs in zip(batch, ask_sensor(batch), strict=True):
            ours = normalize(*case)  # type: ignore[arg-type]
            refused += ours is None
            if ours != theirs:
                wrong += 1
                if wrong <= 20:
                    print(f"{case!r}: endpoint {ours!r}, sensor {theirs!r}")
        total += len(batch)
    print(f"{total:,} compared, {refused:,} refused by both or one, {wrong:,} differences", flush=True)
    return wrong


def main() -> int:
    """Run what the command line asks for; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--type", choices=[*MAKERS, "all"], default="all")
    parser.add_argument("--count", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sweep", action="store_true")
    args = parser.parse_args()
    kinds = list(MAKERS) if args.type == "all" else [args.type]
    later = later_points()
    wrong = 0
    for kind in kinds:
        rng = random.Random(f"{args.seed}/{kind}")
        cases = sweep(kind) if args.sweep else islice(MAKERS[kind](rng, later), args.count)
        print(f"{kind}: ", end="", flush=True)
        wrong += compare(cases)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
