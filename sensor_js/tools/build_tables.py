"""Generate the two tables the sensor carries, and the Python twin of the second.

    python tools/build_tables.py

writes
    src/phone-table.js                       every numbering plan of the installed `phonenumbers` release
    src/unicode14-table.js                   code points that Unicode 14 does not know
    ../server/onefold/core/_unicode14.py     the same code points for Python

Run it with Python 3.11, whose own tables are Unicode 14, after changing the pinned release of
`phonenumbers`; `npm run build` then needs a fresh run too. Node must be on the PATH: it tells which
code points a later Unicode gave a meaning to.
"""

from __future__ import annotations

import subprocess
import unicodedata
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import phonenumbers
from patterns import Plan, alternatives, encode, lengths, shorten, squeeze
from phonenumbers.data import _COUNTRY_CODE_TO_REGION_CODE
from phonenumbers.phonemetadata import PhoneMetadata

HERE = Path(__file__).resolve().parent.parent
SOURCE = HERE / "src"
PYTHON_TWIN = HERE.parent / "server" / "onefold" / "core" / "_unicode14.py"
ALL = range(0x110000)
SURROGATES = range(0xD800, 0xE000)

# --- phone ---------------------------------------------------------------------------------------


def phone_row(code: int, region: str, first: str) -> str:
    """Return one plan: pattern, prefix, transform, IDD."""
    main: Any = PhoneMetadata.metadata_for_region_or_calling_code(code, first)
    metadata: Any = PhoneMetadata.metadata_for_region_or_calling_code(code, region)
    general = metadata.general_desc
    prefix = encode(metadata.national_prefix_for_parsing or "")
    transform = (metadata.national_prefix_transform_rule or "").replace("\\", "$")
    pattern = _without_local_lengths(region, general, str(code), prefix, transform)
    default_idd = "00" if metadata is main else main.international_prefix
    idd = metadata.international_prefix
    shorter = shorten(Plan(str(code), pattern, prefix, transform, general.possible_length[-1]))
    international = "" if idd in (None, default_idd) else encode(idd)
    return " ".join([squeeze(shorter), squeeze(prefix), transform, squeeze(international)]).rstrip()


def _without_local_lengths(region: str, general: Any, code: str, prefix: str, transform: str) -> str:
    """Return the general pattern without numbers that only work inside an area: they count for nothing.

    Raises ValueError where they would decide something.
    """
    pattern = encode(general.national_number_pattern)
    possible, local = general.possible_length, general.possible_length_local_only
    kept = "|".join(one for one in alternatives(pattern) if not set(lengths(one)) <= set(local))
    dropped = set(lengths(pattern)) - set(possible)
    # Behind code and prefix such a number would have to be as long as no number is: then it is refused either way.
    longer = {n + more for n in dropped for more in range(len(code) + len(prefix) + 1)}
    harmless = Plan(code, pattern, prefix, transform, possible[-1]).strips_alike(kept) and not longer & set(possible)
    if not (harmless or kept == pattern) or lengths(kept) != possible or max(local, default=0) > possible[-1]:
        raise ValueError(f"{region}: lengths do not follow from the pattern")
    return kept


def phone_table() -> str:
    """Return every region with the step of its calling code, then every plan.

    A step that is left out is 1; a step of 0 means a further region of the same calling code. What is alike stands
    together, for gzip's sake.
    """
    heads, plans, last = "", [], 0
    for code, regions in sorted(_COUNTRY_CODE_TO_REGION_CODE.items()):
        for region in regions:
            step = code - last
            heads += ("--" if region == "001" else region.lower()) + ("" if step == 1 else str(step))
            plans.append((code, region, regions[0]))
            last = code
    with ProcessPoolExecutor() as pool:
        return "=".join([heads, *pool.map(phone_row, *zip(*plans, strict=True))])


# --- Unicode -------------------------------------------------------------------------------------

PUNCTUATION = set(
    "+\uff0b-xX\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u30fc\uff0d\uff0e\uff0f \u00a0\u00ad"
    "\u200b\u2060\u3000()\uff08\uff09\uff3b\uff3d.[]/~\u2053\u223c\uff5e*#\uff03;,:=\t_"
)
SCAN = r"""
let out = "";
for (let c = 0; c < 0x110000; c++) {
  const s = String.fromCodePoint(c);
  const known = /[\p{L}\p{N}\p{M}\p{Cased}\p{CI}]/u.test(s) || s.toLowerCase() !== s
    || s.normalize("NFD") !== s;
  out += known ? 1 : 0;
}
process.stdout.write(out);
"""


def composing() -> set[int]:
    """Return the code points that canonical composition can touch."""
    found = set(range(0x1100, 0x1113)) | set(range(0x1161, 0x1176)) | set(range(0x11A8, 0x11C3))
    found |= set(range(0xAC00, 0xD7A4))
    for point in ALL:
        parts = unicodedata.decomposition(chr(point))
        if parts and not parts.startswith("<"):
            found |= {point, *(int(part, 16) for part in parts.split())}
    return found


def matters(point: int, composes: set[int]) -> bool:
    """Tell whether normalisation looks at this code point: case, composition, letter, number."""
    char = chr(point)
    return (
        point in SURROGATES
        or point in composes
        or unicodedata.combining(char) != 0
        or char.lower() != char
        or not ("A" + char + "\u03a3").lower().endswith("\u03c3")  # cased or case-ignorable
        or char.isalnum()
        or char in PUNCTUATION
    )


def unicode_ranges() -> list[tuple[int, int]]:
    """Return ranges of code points that are unknown to Unicode 14 or mean nothing to us.

    A range ends only at a code point that matters, so that a few ranges cover many gaps. Kept are
    those in which a later Unicode put something that matters, and those with 1024 or more free places,
    where one still may.
    """
    if unicodedata.unidata_version != "14.0.0":
        raise SystemExit("run this with Python 3.11: its Unicode tables are version 14.0")
    later = subprocess.run(["node", "-e", SCAN], capture_output=True, text=True, check=True).stdout
    composes = composing()
    found: list[tuple[int, int]] = []
    free: list[int] = []
    for point in [*ALL, ord("A")]:  # the last one closes the last range
        if unicodedata.category(chr(point)) == "Cn":
            free.append(point)
        elif free and matters(point, composes):
            if len(free) >= 1024 or any(later[p] == "1" for p in free):
                found.append((free[0], free[-1]))
            free = []
    return found


def base36(number: int) -> str:
    """Write a number in base 36."""
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    text = digits[number % 36]
    while number := number // 36:
        text = digits[number % 36] + text
    return text


def encode_ranges(ranges: list[tuple[int, int]]) -> str:
    """Write ranges as steps in base 36: from the last end to a start, from there to its end."""
    steps, last = [], 0
    for low, high in ranges:
        steps += [base36(low - last), base36(high - low)]
        last = high
    return " ".join(steps)


# --- output --------------------------------------------------------------------------------------

PHONE_JS = """\
// Phone data: Libphonenumber Authors, Apache-2.0.
// Generated by tools/build_tables.py from phonenumbers {version}. Do not edit.
// First all regions, each with the step of its calling code; then the plan of each: pattern prefix transform idd.
export const PLANS =
  '{table}'.split('=');
"""

UNICODE_JS = """\
// Generated by tools/build_tables.py. Do not edit.
// Ranges of code points that Unicode 14 does not know, as steps in base 36; unicode.js reads it.
export const STEPS =
  '{table}';
"""

UNICODE_PY = '''\
r"""Code points that Unicode 14.0 does not know. Generated by sensor_js/tools/build_tables.py.

`LATER` is the inside of a regular-expression character class. Every code point in it is, in Unicode
14.0, an inert starter: no case, no decomposition, nothing composes with it. (A range may also cover
assigned code points of which the same is true in every version.) Later versions of Unicode give some
of them a meaning. Whoever normalises the text between such code points piece by piece gets what
Unicode 14.0 says, under every version of Python and in every browser:

    re.sub(f"[^{LATER}]+", lambda piece: unicodedata.normalize("NFC", piece[0]), text)

None of them is a letter, a digit or phone punctuation in Unicode 14.0, so phone input may have them
replaced by U+E000, which is none of these in any version.

`STAND_INS`: two older characters have changed since Unicode 14: U+0295 was a cased letter and U+1171E
case-ignorable, which decides how a sigma beside them ends. While a piece is lower-cased, the characters
given here stand in for them:

    marks = iter(re.findall("[\\u0138\\u0295\\xad\\U0001171e]", piece))
    lowered = piece.translate(STAND_INS).lower()
    lowered = re.sub("[\\u0138\\xad]", lambda _: next(marks), lowered)
"""

LATER = (
%s)
STAND_INS = {0x295: "\\u0138", 0x1171E: "\\xad"}
'''


def python_class(ranges: list[tuple[int, int]]) -> str:
    """Write ranges as adjacent Python string literals, four ranges a line."""
    parts = [f"\\U{low:08x}-\\U{high:08x}" for low, high in ranges]
    lines = ["".join(parts[i : i + 4]) for i in range(0, len(parts), 4)]
    return "".join(f'    "{line}"\n' for line in lines)


def main() -> None:
    """Write the three files."""
    version = phonenumbers.__version__
    ranges = unicode_ranges()
    phone = PHONE_JS.format(version=version, table=phone_table())
    (SOURCE / "phone-table.js").write_text(phone, encoding="utf-8")
    table = UNICODE_JS.format(table=encode_ranges(ranges))
    (SOURCE / "unicode14-table.js").write_text(table, encoding="utf-8")
    PYTHON_TWIN.write_text(UNICODE_PY % python_class(ranges), encoding="utf-8")
    print(f"phonenumbers {version}: {len(phone)} bytes; {len(ranges)} ranges of newer code points")


if __name__ == "__main__":
    main()
