"""A page far over every model's token limit: a ship register of 620 entries as one scanned roll.

Generated instead of stored, from word lists and BLAKE2 hashes of the entry number, so that every
Python version on every machine makes the same text. All ships, people and companies are invented.
"""

import hashlib
from collections.abc import Sequence
from typing import Final

__all__ = ["LONG_PAGE_DOCUMENT", "imo_number", "long_page_text"]

LONG_PAGE_DOCUMENT: Final = "ship_register_0003"

_ENTRIES: Final = 620
_ENTRIES_A_HEADING: Final = 40
_FIRST_IMO_STEM: Final = 712_006
_IMO_STEM_STEP: Final = 317


def _options(joined: str) -> tuple[str, ...]:
    return tuple(joined.split("|"))


# Two word lists of coprime lengths, both walked once an entry: no two of the first 899 names are alike.
_FIRST_WORDS: Final = _options(
    "Amber|Baltic|Coral|Dunmore|Eastern|Fairlight|Galician|Hebridean|Ionian|Jutland|Kestrel|Ligurian|"
    "Marlin|Nordic|Orkney|Pomeranian|Quarnero|Ribble|Solway|Tagus|Ulster|Velia|Wexford|Yarrow|Zealand|"
    "Aurelia|Borealis|Cimbria|Dalriada"
)
_SECOND_WORDS: Final = _options(
    "Arrow|Bay|Carrier|Dawn|Enterprise|Fern|Grace|Harvest|Isle|Jubilee|Kittiwake|Lady|Merchant|Navigator|"
    "Osprey|Pride|Queen|Ranger|Sound|Trader|Unity|Venture|Warden|Star II|of Leith|Corn and Coal|Maria|Sky|"
    "Tern|Wave|Zephyr"
)
_PORTS: Final = _options(
    "Aberdeen|Antwerp|Bilbao|Bremen|Cardiff|Dundee|Esbjerg|Fowey|Gdynia|Goole|Harlingen|Havre|Kirkwall|"
    "Leith|Lisbon|Limerick|Newry|Ostend|Porsgrunn|Riga|Rostock|Setubal|Stornoway|Valletta|Wismar"
)
_BUILDERS: Final = _options(
    "Abels & Thode, Wewelsfleth|Cantiere San Bartolo, Pesaro|Clydeholm Shipyard, Troon|"
    "Drammenselva Verft, Drammen|Forth & Tay S.B. Co., Burntisland|Gebr. Hoekstra, Lemmer|"
    "Hijos de Ugalde, Pasajes|Lodos Tersane, Tuzla|Menai Yard Ltd., Beaumaris|"
    "N.V. Werf Zuiderhaven, Groningen|Osaki Dock K.K., Onomichi|Stocznia Zielona, Ustka|"
    "Svendborgsund Værft, Svendborg|Wivenmarsh Shipyard, Wivenhoe"
)
_SURNAMES: Final = _options(
    "Abercrombie|Aldous|Barkhausen|Caruana|Dekker|Engebretsen|Flanagan|Gunnarsson|Hallaway|Iversen|Jardim|"
    "Kowalczyk|Lanyon|Matthiesen|Neville|Oyarzabal|Penrose|Quilliam|Rasmus|Sinclair|Tordoff|Ubbens|"
    "Vassallo|Westra|Yeoman"
)
_COMPANIES: Final = _options(
    "{0} Shipping Ltd.|Messrs. {0} & {1}|{0} & Sons, {2}|Reederei {0} KG|Rederi A/S {0}|"
    "Port of {2} Coasters Ltd.|{0} {1} Navigation Co.|Rederij {0} B.V.|Naviera {0} S.A.|Capt. J. {0}"
)
_REMARKS: Final = (
    "mortgage to the {port} Savings Bank, {date}, discharged",
    "name changed from {first} I, {date}",
    "stranded off {port} {date}, refloated, repaired",
    "master {surname}, late of the {first} Wave",
    "carries grain and fertiliser, {port} to {other}",
    "laid up at {other} since {date}",
    "re-measured {date}, see folio {folio}",
    "damaged by fire at {other}, cargo of wood pulp, {date}",
    "cert. of survey lost; duplicate issued {date}",
    "sold foreign {date}, registry closed",
    "{surname} holds 16/64 shares, folio {folio}",
)
_MONTHS: Final = _options("Jan.|Feb.|March|April|May|June|July|Aug.|Sept.|Oct.|Nov.|Dec.")
_MISREADINGS: Final = (
    *(("rn", "m"), ("m", "rn"), ("0", "O"), ("1", "l")),
    *(("e", "c"), ("I", "l"), ("  ", " "), ("li", "h")),
)
_MISREAD_ONE_IN: Final = 4
_CALL_SIGN_LETTERS: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ"
_COLOPHON: Final = "\nEND OF ROLL 3.   Filmed from a bound volume, some figures lost in the gutter.\n"
_HEADING: Final = """
REGISTER OF COASTING AND SHORT SEA SHIPS            ROLL 3, SHEET {sheet:>2}            PORT OFFICE COPY
No.   NAME                      SIGNAL  IMO NO.   BUILT  BY                                  GT  OWNER
----------------------------------------------------------------------------------------------------------
"""


def long_page_text() -> str:
    """The text of the page: between 60,000 and 90,000 characters, the same at every call."""
    lines: list[str] = []
    for entry in range(_ENTRIES):
        if entry % _ENTRIES_A_HEADING == 0:
            lines.append(_HEADING.format(sheet=entry // _ENTRIES_A_HEADING + 1))
        lines.append(_misread(_entry_line(entry), entry))
        if _number(entry, "has remark", 5) == 0:
            lines.append(_misread(_remark_line(entry), entry + _ENTRIES))
    lines.append(_COLOPHON)
    return "".join(lines)


def imo_number(stem: int) -> str:
    """The IMO number (7 digits) of a six-digit ``stem``.

    The check digit is the last digit of the sum of the six digits weighted 7 to 2 (IMO Ship
    Identification Number Scheme).
    """
    digits = f"{stem:06d}"
    weighted = (int(digit) * weight for digit, weight in zip(digits, range(7, 1, -1), strict=True))
    return f"{digits}{sum(weighted) % 10}"


def _entry_line(entry: int) -> str:
    name = f"{_first_word(entry)} {_SECOND_WORDS[entry % len(_SECOND_WORDS)]}"
    printed = name.upper() if _number(entry, "capitals", 3) == 0 else name
    imo = imo_number(_FIRST_IMO_STEM + _IMO_STEM_STEP * entry) if _number(entry, "has imo", 8) else "—"
    built = 1961 + _number(entry, "built", 37)
    tons = 199 + _number(entry, "tons", 4800)
    builder = _pick(_BUILDERS, entry, "builder")
    owner = _pick(_COMPANIES, entry, "company").format(
        _pick(_SURNAMES, entry, "owner"), _pick(_SURNAMES, entry, "partner"), _pick(_PORTS, entry, "seat")
    )
    return (
        f"{entry + 1:<6}{printed:<26}{_call_sign(entry):<8}{imo:<10}{built:<7}"
        f"{builder:<34}{tons:>5}  {owner}\n"
    )


def _remark_line(entry: int) -> str:
    day, month = 1 + _number(entry, "day", 28), _pick(_MONTHS, entry, "month")
    port = _number(entry, "port", len(_PORTS))
    other = (port + 1 + _number(entry, "other", len(_PORTS) - 1)) % len(_PORTS)
    remark = _pick(_REMARKS, entry, "remark").format(
        port=_PORTS[port],
        other=_PORTS[other],
        first=_first_word(entry),
        surname=_pick(_SURNAMES, entry, "surname"),
        folio=10 + _number(entry, "folio", 480),
        date=f"{day} {month} {1987 + _number(entry, 'year', 11)}",
    )
    return f"         ({remark})\n"


def _first_word(entry: int) -> str:
    return _FIRST_WORDS[entry % len(_FIRST_WORDS)]


def _call_sign(entry: int) -> str:
    letters = (_pick(_CALL_SIGN_LETTERS, entry, f"letter {place}") for place in range(3))
    return f"{_pick('GDMOP', entry, 'nation')}{''.join(letters)}"


def _misread(line: str, number: int) -> str:
    if _number(number, "misread", _MISREAD_ONE_IN):
        return line
    printed, read = _MISREADINGS[_number(number, "misreading", len(_MISREADINGS))]
    pieces = line.split(printed)
    if len(pieces) == 1:
        return line
    place = 1 + _number(number, "misread place", len(pieces) - 1)
    return f"{printed.join(pieces[:place])}{read}{printed.join(pieces[place:])}"


def _pick(options: Sequence[str], entry: int, purpose: str) -> str:
    return options[_number(entry, purpose, len(options))]


def _number(entry: int, purpose: str, below: int) -> int:
    """A number from 0 to ``below`` - 1 that depends on the entry and on what it is for."""
    digest = hashlib.blake2b(f"{purpose}:{entry}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % below
