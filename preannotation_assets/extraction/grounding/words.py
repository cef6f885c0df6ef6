"""The words of a quote, and what it costs to leave one out.

A name carries a quote; articles, titles, legal forms and places of a place come and go when a model
quotes. A word with a digit can never be left out.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from preannotation_assets.extraction.line_ends import LINE_END_SIGNS

from .folding import FOLD_TABLE, SEPARATOR

__all__ = [
    "ENDINGS",
    "FUNCTION_WORDS",
    "MULTIPLES",
    "Word",
    "abbreviates",
    "contradicts",
    "is_common",
    "is_roman_numeral",
    "may_be_added",
    "needs_name",
    "split_words",
]


def _listed(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Articles, prepositions and conjunctions in the languages of European print, folded.
FUNCTION_WORDS = _listed(
    """
    the a an of and at in on to for from by with la le les l d du de des un une et en au aux par pour
    sur die der das den dem ein eine und im am von vom zu zum zur bei mit auf aus het een van te op aan
    bij met voor el los las y e con por il lo gli i di da del della dei delle nel al o os as do dos em
    no na
    """
)

# What inflection puts behind a name in Latin, German, Dutch, Finnish, the Scandinavian, Baltic and Slavic
# languages.
_LATIN_ENDINGS = """
    s es e n en ens er ern em ns t et ets te a as ar or ene erne sche
    u om em ie ow owi ami ach ovi ou y i ho mu ego emu ej iego iej im ym ych in un us aus is io eho os oje
    se iem um ae ii orum arum ibus ssa sta lla lta lle
    """
_CYRILLIC_ENDINGS = (
    "а я у ю е о ы и ой ей ом ем ым им ого его ому ему ая яя ое ее ую юю ых их ами ями ах ях ов ев ью"  # noqa: RUF001
    " ия ии ий ый го ь"  # noqa: RUF001
)
ENDINGS = _listed((_LATIN_ENDINGS + _CYRILLIC_ENDINGS).translate(FOLD_TABLE))

# Titles and forms of address, ranks, saints, kinds of ships, firms and places, in the same languages,
# folded: they stand before a name.
_TITLES = _listed(
    """
    mr mrs ms miss mister sir lady lord dame madam dr doctor prof professor rev reverend father brother
    sister bishop pastor hon king queen prince princess duke duchess earl count countess viscount baron
    president minister senator governor mayor consul judge justice capt captain col colonel gen general lt
    lieut lieutenant maj major sgt sergeant admiral commodore commander master chief mate officer saint st
    san santa sankt sainte ste m mm mme mmes mlle mlles monsieur messieurs madame mesdames mademoiselle
    maitre me sieur docteur professeur capitaine commandant comte comtesse vicomte duc duchesse marquis roi
    reine prefet ministre juge abbe soeur veuve herr herrn hr hrn frau fr fraulein frl doktor graf grafin
    freiherr ritter furst prinz prinzessin herzog konig konigin kaiser kapitan oberst hauptmann leutnant
    burgermeister direktor prasident witwe dhr mevr mevrouw meneer kapitein sig signor signora signore don
    dona senor senora sr sra capitan capitano messrs ss hms uss mv mt mts vessel ship steamer schooner brig
    barque bark sloop societe firma fa maison ville port hafen
    """
)

_OF_WOMEN = _listed(
    """
    mrs ms miss lady dame madam sister queen princess duchess countess mme mmes mlle mlles madame mesdames
    mademoiselle comtesse vicomtesse duchesse reine soeur veuve frau fr fraulein frl grafin prinzessin
    herzogin konigin witwe mevr mevrouw signora dona senora sra
    """
)

# Generations, legal forms and honours, and in English and German what a place or a firm is: they stand
# behind a name, or before it with "of".
_SUFFIXES = _listed(
    """
    esq esquire jr jun junior sen senior fils pere filho jungere altere co comp company ltd ltda limited inc
    corp corporation plc llc lp gmbh ag kg ohg sa sarl sas spa srl nv bv ab as oy aps kk pte pty sdn bhd sohn
    sohne sons bros city town county state dorf harbour harbor street strasse
    """
)

# These stand on either side.
_KINDS = _listed(
    """
    cie compagnie gebruder gebr freres stadt gesellschaft firm canton kanton rue island insel republic
    province
    """
)

_DESIGNATIONS = _TITLES | _SUFFIXES | _KINDS

# Words that multiply the number before them, folded.
MULTIPLES = _listed(
    """
    hundred thousand million millions billion hundert tausend millionen mille million milliard milliarden
    milliards cent cents mil millones millon mila milioni honderd duizend miljoen tusen hundra tusind
    """
)

_ROMAN_FIGURES = frozenset("MDCLXVI")
_ROMAN_NUMERAL = re.compile(r"M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})")

# No model adds these at an edge.
_CONJUNCTIONS = _listed("and und et y con")
_ARTICLES = _listed(
    "the a an la le les l der die das den dem ein eine un une het een el los las lo il gli i o os"
)
# Without these it is the name of something else: St. Louis and Louis, rue Voltaire, Orange County.
_PARTS_OF_NAMES = _listed(
    """
    saint st san santa sankt sainte ste street strasse rue town county state dorf canton kanton island insel
    republic province company gesellschaft firm
    """
)

_HYPHENS = frozenset(LINE_END_SIGNS)

_FUNCTION_WORD = 0.35
_BRACKETED = 0.3
_DESIGNATION = 0.45
_INITIAL = 0.65
_APPOSITION = 0.6
_LETTER = 0.05
_APPOSITION_WORDS = 2
_NAME = 4
_ARTICLE = 3
_ABBREVIATION = 5


@dataclass(slots=True)
class Word:
    """A word of a quote.

    ``quote.text[start:end]`` is the word, ``letters`` what it folds to; ``price`` is that of leaving it
    out, None where that is never allowed. ``is_apart`` says that it is in brackets or behind a comma.
    """

    letters: str
    start: int
    end: int
    price: float | None
    is_apart: bool


def split_words(text: str) -> list[Word]:
    """Splits a quote into its words."""
    words: list[Word] = []
    start = -1
    depth = 0
    comma = _last_comma(text)
    for position, symbol in enumerate(text + SEPARATOR):
        if FOLD_TABLE[ord(symbol)] == SEPARATOR:
            if start >= 0:
                letters = text[start:position].translate(FOLD_TABLE)
                price = _price(text, start, position, letters)
                is_apart = depth > 0 or -1 < comma < start
                if is_apart and not _is_number(text[start:position]):
                    if depth > 0:
                        price = _BRACKETED
                    elif price is None:
                        price = _APPOSITION
                if price is not None:
                    price += _LETTER * len(letters)
                words.append(Word(letters, start, position, price, is_apart))
                start = -1
            depth += (symbol in "([") - (symbol in ")]")
        elif start < 0 and FOLD_TABLE[ord(symbol)]:
            start = position
    return words


def may_be_added(before: Sequence[Word], after: Sequence[Word]) -> bool:
    """Whether words that are not on the page stand where models add them: a title before a name, not behind.

    No article or preposition ends an addition, and what stands behind a name only does so before it with
    one of them: "City of", never "City Scott".
    """
    behind = [word.letters for word in after if not word.is_apart]
    # Letters abbreviate (a. M., d. Ä., u. Co.), but one alone is the initial of another name.
    longer = [word for word in behind if len(word) > 1]
    if (len(behind) == 1 and not longer) or any(word in _TITLES for word in longer):
        return False
    if FUNCTION_WORDS.intersection(longer[-1:]):
        return False
    if any(word.letters in _CONJUNCTIONS for word in before[:1]):
        return False
    return not any(
        word in _SUFFIXES and following not in FUNCTION_WORDS
        for word, following in pairwise([*(word.letters for word in before), ""])
    )


def contradicts(written: str, quoted: str) -> bool:
    """Whether of two folded titles before one name one is of a man and one of a woman: M. and Mme."""
    return {written, quoted} <= _TITLES and (written in _OF_WOMEN) != (quoted in _OF_WOMEN)


def needs_name(letters: str) -> bool:
    """Whether a folded word is only added before a name: a title or a preposition."""
    return letters in _TITLES or (letters in FUNCTION_WORDS and letters not in _ARTICLES)


def is_common(letters: str) -> bool:
    """Whether a folded word is one that models add: an article, a title, a legal form."""
    return letters in FUNCTION_WORDS or letters in _DESIGNATIONS


def abbreviates(written: str, quoted: str) -> bool:
    """Whether one of two folded words abbreviates the other: Prof, Dr, Mme, v for von, MM for several.

    The page may abbreviate to one letter, the quote may not; a title is only short for a title.
    """
    if not (written + quoted).isalpha():
        return False
    if len(written) > 1 and is_common(quoted) and not is_common(written):
        return False
    return _shortens(written, quoted) or (len(quoted) > 1 and _shortens(quoted, written))


def _shortens(short: str, long: str) -> bool:
    if len(short) >= len(long) or len(short) > _ABBREVIATION or short[:1] != long[:1]:
        return False
    if is_roman_numeral(short.upper()) and is_roman_numeral(long.upper()):
        return False
    if len(short) == 1:
        return long in _DESIGNATIONS or long in FUNCTION_WORDS
    if short in FUNCTION_WORDS or long in FUNCTION_WORDS:
        return False
    if short == short[0] * len(short) or long.startswith(short):
        return True
    rest = iter(long)
    return (long in _DESIGNATIONS or short[-1] == long[-1]) and all(letter in rest for letter in short)


def _last_comma(text: str) -> int:
    """Where the last comma stands, if it is between a name and a short apposition; else -1."""
    comma = text.rfind(", ")
    return comma if comma >= _NAME and len(text[comma + 1 :].split()) <= _APPOSITION_WORDS else -1


def is_roman_numeral(written: str) -> bool:
    """Whether a word is a Roman numeral of more than one figure, in capitals."""
    # Most words are none by their first letter, which is seen in a fraction of the time.
    return len(written) > 1 and written[0] in _ROMAN_FIGURES and _ROMAN_NUMERAL.fullmatch(written) is not None


def _is_number(written: str) -> bool:
    return (not written.isalpha() and any(map(str.isdigit, written))) or is_roman_numeral(written)


def _price(text: str, start: int, end: int, letters: str) -> float | None:
    """What leaving out the word ``text[start:end]`` costs for its kind; None if that is not allowed."""
    written = text[start:end]
    if letters in FUNCTION_WORDS and (len(letters) <= _ARTICLE or written[0].islower()):
        return None if "-" in (text[start - 1 : start], text[end : end + 1]) else _FUNCTION_WORD
    if letters in _DESIGNATIONS and letters not in _PARTS_OF_NAMES and text[end : end + 1] != "-":
        return _DESIGNATION
    if _is_number(written) or _is_glued(text, start, end):
        return None
    return _INITIAL if len(letters) == 1 and text[end : end + 1] == "." else None


def _is_glued(text: str, start: int, end: int) -> bool:
    """Whether a word hangs together with another, as at a hyphen, broken lines included."""
    before = text[start - 1 : start]
    after = text[end : end + 1]
    if text[:start].rstrip()[-1:] in _HYPHENS:
        return True
    return not (before.isspace() or before in ".,") or not (after.isspace() or after in ".,")
