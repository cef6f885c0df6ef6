"""The pages of the next lake that is frozen; all of it is made up."""

from typing import Final

__all__ = ["BROKEN", "FAILING", "PAGES"]

_ARRIVAL: Final = (
    'M/V "NORTHERN LIGHT"  IMO 9666948. Arrived at Hamburg from Antwerp on 14 March 1957.\n'
    "Master: J. Dinsdale.  Built 1974 by Fjordvik Mekaniske Verksted A/S.  Flag: Panama.\n"
)
_CALM: Final = (
    "Nothing of note was written down in this watch. The sea was calm and the air clear, and the hands "
    "were put to washing the deck and mending what the gale of the week before had torn.\n\n"
)
_LONG: Final = "\n\n".join(
    f"Watch {number}. SS {name} IMO {imo} lay at {port}, bound for {other}, on {number} June 1961.\n{_CALM}"
    for number, (name, imo, port, other) in enumerate(
        [
            ("SILVER GULL", "9074729", "Rotterdam", "Cadiz"),
            ("IRON DUKE", "1234567", "Lisbon", "Cork"),
            ("MORNING STAR", "9666948", "Bremen", "Odessa"),
            ("RED KITE", "9074729", "Naples", "Genoa"),
            ("GREY SEAL", "9666948", "Oslo", "Kiel"),
            ("OLD TIMER", "7654321", "Riga", "Danzig"),
            ("WHITE HERON", "9074729", "Varna", "Trieste"),
            ("TALL PINE", "9666948", "Vigo", "Bilbao"),
            ("BLACK SWAN", "9074729", "Malta", "Tunis"),
        ],
        1,
    )
)
_PORTS: Final = (
    "Hamburg, Antwerp, Rotterdam, Lisbon, Cork, Bremen, Odessa, Naples, Genoa, Oslo, Kiel, Riga, Danzig, "
    "Varna, Trieste, Vigo, Bilbao, Malta, Tunis, Cadiz, Cardiff, Dublin, Emden, Glasgow, Hull, Leith, "
    "London, Lübeck, Memel, Montreal, Nantes, Oporto, Palermo, Piraeus, Rostock, Shanghai"
)

FAILING: Final = "failing"
"""The page whose request fails in the frozen lake."""

BROKEN: Final = "broken"
"""The page whose hash in the warehouse is not that of its text."""

PAGES: Final[dict[str, str]] = {
    "arrival": _ARRIVAL,
    "arrival again": _ARRIVAL,
    "empty": "",
    "no spans": "The weather was fair, and the crew rested all day.\n",
    "long": _LONG,
    "dense": f"Called at {_PORTS}.\n",
    "emoji": f"\U0001f6a2 Log\r\n{_ARRIVAL}\U0001f1e9\U0001f1ea MV ÅNGSTRÖM left Göteborg.\r\n",
    "german": "Das MS „ELISE MARIE“ (Flagge Panama, Baujahr 1962) lief am 3. März 1984 aus Kiel aus.\n",
    "unsure": "Tanker IRON 0AK, IMO 1234567, master unknown, sighted off Dover or Calais in May 1970.\n",
    FAILING: "MV LAST HOPE left Liverpool for Boston on 9 May 1948.\n",
    BROKEN: "MV LOST PAGE left Dover.\n",
}
