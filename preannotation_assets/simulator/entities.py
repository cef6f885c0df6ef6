"""Finding entities in a page by rules: what the stand-in server knows instead of a language model.

The rules are patterns and word lists in English, German and French, made to find a plausible number
of entities on OCR'd pages from 1800 to today. They carry no claim of quality.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import regex

from preannotation_assets.simulator.places import find_places
from preannotation_assets.simulator.vocabulary import CARGOES, FLAGS, FORM_WORDS, MONTHS

__all__ = ["EntityKind", "Mention", "find_mentions"]


class EntityKind(StrEnum):
    """What a mention is."""

    VESSEL_NAME = "vessel_name"
    IMO_NUMBER = "imo_number"
    CALL_SIGN = "call_sign"
    FLAG = "flag"
    PORT_OF_REGISTRY = "port_of_registry"
    PORT = "port"
    OWNER = "owner"
    MASTER = "master"
    BUILDER = "builder"
    YEAR_BUILT = "year_built"
    GROSS_TONNAGE = "gross_tonnage"
    DATE = "date"
    CARGO = "cargo"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class Mention:
    """An entity as the text has it, at ``start`` (code points) of the text searched."""

    kind: EntityKind
    start: int
    text: str

    @property
    def end(self) -> int:
        """Code points, exclusive."""
        return self.start + len(self.text)


def _words(words: Iterable[str]) -> str:
    """A pattern for any of ``words``, the longest first, with any blank between parts."""
    longest_first = sorted(words, key=len, reverse=True)
    return "(?:" + "|".join(regex.escape(word).replace("\\ ", _GAP) for word in longest_first) + ")"


_GAP = r"[ \t]*(?:\r?\n)?[ \t]*"
_SPACE = r"(?:[ \t]+(?:\r?\n)?[ \t]*|\r?\n[ \t]*)"
_COLON = rf"(?!\p{{L}})[ \t]*[:.=|\-]?{_SPACE}?"
_NAME_WORD = r"\p{Lu}[\p{L}\u2019'\-]+"
_CAPITALS_WORD = r"\p{Lu}[\p{Lu}\d\u2019'\-]{2,}"
_PERSON = (
    rf"(?:\p{{Lu}}\.{_GAP}){{0,3}}(?:(?:von|van|de|du|d['\u2019]|zu|O['\u2019]){_GAP})?"
    rf"{_NAME_WORD}(?:[ ]{_NAME_WORD})?"
)
_SHIP_NAME = rf"{_CAPITALS_WORD}(?:[ ]{_CAPITALS_WORD}){{0,2}}|{_NAME_WORD}(?:[ ]{_NAME_WORD}){{0,2}}"
_QUOTED_NAME = rf"[„“\"«\u2018'»][ ]?(?P<m>{_NAME_WORD}(?:[ ]{_NAME_WORD}){{0,2}})[ ]?[”“\"»\u2019'«]"
_SHIP_WORD = (
    r"(?:steam[\- ]?ship|steamer|sailing[ ]ship|schooner|brig|barque|bark|sloop|frigate|tug|trawler|"
    r"packet|cutter|tanker|bulk[ ]carrier|motor[ ]vessel|vessel|ship|"
    r"Dampfer|Dampfschiff|Schiff|Motorschiff|Segelschiff|Schoner|Bark|Brigg|Fregatte|Kreuzer|Schlepper|"
    r"navire|vapeur|paquebot|goélette|brick|frégate|cargo|trois-mâts|chalutier|croiseur)"
)
_VESSEL_PREFIX = (
    r"(?:(?i:M/V|M\.[ ]?V\.|M/T|S/S|S\.[ ]?S\.|M\.[ ]?S\.|H\.M\.S\.|R\.M\.S\.|S\.M\.S\.)|"
    r"MV|MT|SS|HMS|MS|RMS|USS|SMS)"
)
_LEGAL_FORM = (
    r"(?:Ltd\b\.?|Limited\b|LLC\b|Inc\b\.?|GmbH\b|A\.?G\.|AG\b|S\.A\.(?:R\.L\.)?|S\.?p\.?A\b\.?|B\.?V\b\.?|"
    r"&[ ]?Cie\b\.?|et[ ]Cie\b\.?|&[ ]?C[o°]\b\.?|and[ ]Co\b\.?|&[ ]Sons\b|and[ ]Sons\b|& Söhne\b|Company\b|"
    r"Corporation\b|Pte\b\.?|ApS\b|A/S\b|AS\b|Reederei\b|Shipping\b|Lines?\b)"
)
_COMPANY_END = rf"{_LEGAL_FORM}(?:,?[ ]{_LEGAL_FORM})*"
_COMPANY_WORD = r"(?!Captain|Capt\b|The\b)[\p{Lu}&][\p{L}.\u2019'&\-]*"
_PLAIN_COMPANY_WORD = r"(?!Captain|Capt\b|The\b)[\p{Lu}&][\p{L}\u2019'&\-]*"
_MONTH = _words(MONTHS)
_YEAR = r"1[5-9]\d\d|20\d\d"
_NUMBER = r"\d{1,3}(?:[., \u2019']\d{3})+|\d{2,6}"
_TONS = r"(?:gross[ ]tons|tons|tonnes|GT\b|GRT\b|B\.?R\.?T\b\.?|Tonnen|tonneaux|tx\b|Reg\.-T)"
_NOT_IN_WORD = r"(?<![\p{L}\p{N}])"
_WORD_ENDS = r"(?![\p{L}\p{N}])"
_NAMED_KINDS = frozenset(
    {EntityKind.VESSEL_NAME, EntityKind.PORT, EntityKind.PORT_OF_REGISTRY, EntityKind.MASTER, EntityKind.FLAG}
)
_SHORTEST_NAME = 3
_SHORTEST_REPEATED_NAME = 5


def _rule(kind: EntityKind, pattern: str) -> tuple[EntityKind, "regex.Pattern[str]"]:
    return kind, regex.compile(pattern)


_RULES: tuple[tuple[EntityKind, "regex.Pattern[str]"], ...] = (
    _rule(
        EntityKind.IMO_NUMBER,
        rf"\bIMO{_GAP}(?:[Nn]umber|[Nn]o\.?|Nr\.?|N°|ID)?{_COLON}(?P<m>[\dOl]{{7}}){_WORD_ENDS}",
    ),
    _rule(
        EntityKind.CALL_SIGN,
        rf"(?i:call{_GAP}-?sign|Rufzeichen|Unterscheidungssignal|indicatif(?:{_SPACE}d['\u2019]appel)?|"
        rf"signal{_GAP}letters){_COLON}(?P<m>[A-Z0-9]{{4,7}}){_WORD_ENDS}",
    ),
    _rule(
        EntityKind.PORT_OF_REGISTRY,
        rf"(?i:port{_SPACE}of{_SPACE}registry|home{_GAP}port|registered{_SPACE}at|Heimathafen|Registerhafen|"
        rf"port{_SPACE}d['\u2019](?:attache|immatriculation)|"
        rf"belonging{_SPACE}to{_SPACE}the{_SPACE}port{_SPACE}of){_COLON}"
        rf"(?P<m>{_NAME_WORD}(?:[ ]{_NAME_WORD})?)",
    ),
    _rule(
        EntityKind.FLAG,
        rf"(?i:flag(?:{_SPACE}state)?|nationality|Flagge|pavillon){_COLON}"
        rf"(?P<m>{_words(FLAGS)}|\p{{Lu}}\p{{Ll}}{{3,}})",
    ),
    _rule(EntityKind.FLAG, rf"{_NOT_IN_WORD}(?P<m>{_words(FLAGS)}){_SPACE}(?:flag|{_SHIP_WORD}){_WORD_ENDS}"),
    _rule(
        EntityKind.YEAR_BUILT,
        rf"(?i:year{_SPACE}(?:of{_SPACE})?buil[td]|built(?:{_SPACE}in)?|Baujahr|erbaut|gebaut|"
        rf"construit(?:{_SPACE}en)?|année{_SPACE}de{_SPACE}construction|launched(?:{_SPACE}in)?){_COLON}"
        rf"(?P<m>{_YEAR}){_WORD_ENDS}",
    ),
    _rule(
        EntityKind.GROSS_TONNAGE,
        rf"(?i:gross{_SPACE}(?:register(?:ed)?{_SPACE})?tonnage|GRT|\bGT|Bruttoraumzahl|BRZ|BRT|"
        rf"jauge{_SPACE}brute|tonnage)(?:{_GAP}\(\w+\))?{_COLON}(?P<m>{_NUMBER}){_WORD_ENDS}",
    ),
    _rule(EntityKind.GROSS_TONNAGE, rf"{_NOT_IN_WORD}(?P<m>{_NUMBER}){_SPACE}{_TONS}"),
    _rule(
        EntityKind.BUILDER,
        rf"(?i:builders?|built{_SPACE}by|shipyard|Bauwerft|erbaut{_SPACE}(?:von|bei)|constructeur|"
        rf"construit{_SPACE}par){_COLON}(?P<m>{_COMPANY_WORD}(?:[ ]{_COMPANY_WORD}){{0,4}})",
    ),
    _rule(
        EntityKind.BUILDER,
        rf"{_NOT_IN_WORD}(?P<m>(?:{_NAME_WORD}[ ]){{1,3}}"
        rf"(?:Shipyards?|Dockyard|Shipbuilding|Heavy[ ]Industries)"
        rf"|Chantiers[ ](?:(?:de|du|et|la|l['\u2019]|{_NAME_WORD})[ ]?){{1,5}}"
        rf"|\p{{Lu}}[\p{{L}}\-]*[Ww]erft{_WORD_ENDS})",
    ),
    _rule(
        EntityKind.OWNER,
        rf"(?i:(?:registered{_SPACE})?owners?|managers?|charterers?|Reederei|Eigner|Eigentümer|armateur|"
        rf"propriétaire){_COLON}(?P<m>(?:{_COMPANY_WORD}[ ]){{1,4}}?{_COMPANY_END}|"
        rf"{_PLAIN_COMPANY_WORD}(?:[ ]{_PLAIN_COMPANY_WORD}){{1,3}})",
    ),
    _rule(
        EntityKind.OWNER,
        rf"{_NOT_IN_WORD}(?P<m>{_COMPANY_WORD}(?:[ ](?:(?:and|und|et|of)[ ])?{_COMPANY_WORD}){{0,3}}"
        rf",?[ ](?:and[ ])?{_COMPANY_END})",
    ),
    _rule(
        EntityKind.OWNER,
        rf"{_NOT_IN_WORD}(?P<m>(?:Compagnie|Société|Reederei|Messrs\.?)"
        rf"(?:[ ](?:de|des|du|la|&|{_NAME_WORD})){{1,4}})",
    ),
    _rule(
        EntityKind.MASTER,
        rf"{_NOT_IN_WORD}(?:[Mm]aster|MASTER|Captain|CAPTAIN|Capt\.?|Kapitän|Kapt\.|Capitaine|capitaine|[Cc]ap\.|"
        rf"Schiffer|Kommandant|Skipper|Commander){_COLON}"
        rf"(?:(?:Captain|Capt|Kapt|Kapitän|Mr)\b\.?{_SPACE})?(?P<m>{_PERSON}){_WORD_ENDS}",
    ),
    _rule(
        EntityKind.VESSEL_NAME,
        rf"{_NOT_IN_WORD}{_VESSEL_PREFIX}{_SPACE}[„“\"«]?(?P<m>{_SHIP_NAME}){_WORD_ENDS}",
    ),
    _rule(
        EntityKind.VESSEL_NAME,
        rf"(?i:vessel['\u2019]?s?{_SPACE}name|name{_SPACE}of{_SPACE}(?:the{_SPACE})?(?:ship|vessel)|"
        rf"ship['\u2019]?s?{_SPACE}name|Schiffsname|Name{_SPACE}des{_SPACE}Schiffes|nom{_SPACE}du{_SPACE}navire)"
        rf"{_COLON}(?:{_VESSEL_PREFIX}{_SPACE})?[„“\"«]?(?P<m>{_SHIP_NAME}){_WORD_ENDS}",
    ),
    _rule(
        EntityKind.VESSEL_NAME,
        rf"{_NOT_IN_WORD}(?i:the{_SPACE}good{_SPACE}ship|{_SHIP_WORD}){_COLON}"
        rf"(?:{_QUOTED_NAME}|(?P<m>{_SHIP_NAME})){_WORD_ENDS}",
    ),
    _rule(EntityKind.VESSEL_NAME, rf"{_QUOTED_NAME}(?={_GAP},?{_GAP}(?:Capt|Kapt|cap\.))"),
    _rule(
        EntityKind.DATE,
        rf"{_NOT_IN_WORD}(?P<m>\d{{1,2}}(?:st|nd|rd|th|er|\.)?{_GAP}(?:of{_SPACE}|de{_SPACE})?{_MONTH}{_WORD_ENDS}"
        rf"(?:,?{_GAP}(?:{_YEAR}){_WORD_ENDS})?)",
    ),
    _rule(
        EntityKind.DATE,
        rf"{_NOT_IN_WORD}(?P<m>{_MONTH}{_SPACE}\d{{1,2}}(?:st|nd|rd|th)?(?:,{_GAP}(?:{_YEAR}))?){_WORD_ENDS}",
    ),
    _rule(EntityKind.DATE, rf"{_NOT_IN_WORD}(?P<m>(?:{_MONTH}){_SPACE}(?:{_YEAR})){_WORD_ENDS}"),
    _rule(
        EntityKind.DATE,
        rf"{_NOT_IN_WORD}(?P<m>(?:{_YEAR})-\d\d-\d\d|\d{{1,2}}[./]\d{{1,2}}[./](?:{_YEAR}|\d\d)){_WORD_ENDS}",
    ),
    _rule(
        EntityKind.PORT,
        rf"(?i:port{_SPACE}of|Hafen{_SPACE}von|port{_SPACE}de){_SPACE}"
        rf"(?P<m>{_NAME_WORD}(?:[ ]{_NAME_WORD})?)",
    ),
    _rule(
        EntityKind.CARGO,
        rf"(?i:cargo|laden|loaded|load|Ladung|beladen|chargement|chargé|cargaison)"
        rf"(?:{_SPACE}(?:of|with|mit|von|de|d['\u2019]))?{_COLON}(?P<m>{_words(CARGOES)}){_WORD_ENDS}",
    ),
    _rule(
        EntityKind.CARGO,
        rf"(?:tons|cwt|bags|bales|barrels|casks|boxes|chests|hogsheads|quarters|Tonnen|"
        rf"Sack|Ballen|Fässer|Zentner|tonnes|sacs|balles|barils|caisses)\.?"
        rf"(?:{_SPACE}(?:of|de|d['\u2019]))?{_SPACE}(?P<m>{_words(CARGOES)}){_WORD_ENDS}",
    ),
    _rule(
        EntityKind.PERSON,
        rf"{_NOT_IN_WORD}(?P<m>(?:Mr|Mrs|Miss|Dr|Sir|Lord|Lady|Herrn?|Frau|Mme|Mlle|MM|Colonel|Général|General|"
        rf"Major|Lieutenant|Admiral|amiral|Graf|comte|Professor)\.?{_SPACE}{_PERSON}){_WORD_ENDS}",
    ),
)


def find_mentions(text: str) -> list[Mention]:
    """The entities in ``text``, in reading order, none overlapping another.

    Where two rules want the same text, the one named first in this module has it.
    """
    taken = bytearray(len(text))
    mentions = list(_untaken(_matches(text), taken))
    vessels = {mention.text for mention in mentions if mention.kind is EntityKind.VESSEL_NAME}
    names = {name for name in vessels if len(name) >= _SHORTEST_REPEATED_NAME}
    mentions.extend(_untaken(_repeated(names, text), taken))
    return sorted(mentions, key=lambda mention: mention.start)


def _untaken(mentions: Iterable[Mention], taken: bytearray) -> Iterator[Mention]:
    for mention in mentions:
        if not any(taken[mention.start : mention.end]):
            taken[mention.start : mention.end] = b"\x01" * len(mention.text)
            yield mention


def _matches(text: str) -> Iterator[Mention]:
    for kind, pattern in _RULES:
        for match in pattern.finditer(text):
            start, end = match.span("m")
            found = text[start:end].rstrip(" \t\r\n,;-")
            if found and not _is_form_word(kind, found):
                yield Mention(kind, start, found)
    for start, end in find_places(text):
        yield Mention(EntityKind.PORT, start, text[start:end])


def _repeated(names: set[str], text: str) -> Iterator[Mention]:
    """The other places where vessels that the rules know stand, in any case."""
    if names:
        pattern = regex.compile(rf"(?i:{_NOT_IN_WORD}{_words(names)}{_WORD_ENDS})")
        for match in pattern.finditer(text):
            yield Mention(EntityKind.VESSEL_NAME, match.start(), match.group())


def _is_form_word(kind: EntityKind, text: str) -> bool:
    if kind not in _NAMED_KINDS:
        return False
    return len(text) < _SHORTEST_NAME or text.split(maxsplit=1)[0].lower().rstrip(".") in FORM_WORDS
