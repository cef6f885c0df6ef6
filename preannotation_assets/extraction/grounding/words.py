"""The words of a quote, and what it costs to leave one out.

A name carries a quote; articles, titles, legal forms and places of a place come and go when a model
quotes. A word with a digit can never be left out.
"""

from dataclasses import dataclass

from .folding import SEPARATOR, FoldTable

__all__ = ["FUNCTION_WORDS", "Word", "abbreviates", "split_words"]

# Articles, prepositions and conjunctions, folded, in the languages of European print.
FUNCTION_WORDS = frozenset(
    (
        "the a an of and at in on to for from by with"
        " la le les l d du de des un une et en au aux a par pour sur"
        " die der das den dem des ein eine und im am an in von vom zu zum zur bei mit auf aus"
        " het een van te op aan bij met voor"
        " el los las y e con por il lo gli i di da del della dei delle nel al o os as do dos das em no na"
    ).split()
)

# Titles, forms of address, generations, legal forms and kinds of places and ships, folded.
_DESIGNATIONS = frozenset(
    (
        "mr mrs ms miss mister sir lady lord dame madam dr doctor prof professor rev reverend father brother sister"
        " bishop pastor hon esq esquire king queen prince princess duke duchess earl count countess viscount baron"
        " president minister senator governor mayor consul judge justice"
        " capt captain col colonel gen general lt lieut lieutenant maj major sgt sergeant admiral commodore commander"
        " master chief mate officer saint st san santa sankt sainte ste"
        " m mm mme mmes mlle mlles monsieur messieurs madame mesdames mademoiselle maitre me sieur docteur"
        " professeur capitaine commandant comte comtesse vicomte duc duchesse marquis roi reine prefet ministre juge"
        " abbe pere soeur veuve"
        " herr herrn hr hrn frau fr fraulein frl doktor graf grafin freiherr ritter furst prinz prinzessin herzog"
        " konig konigin kaiser kapitan oberst hauptmann leutnant burgermeister direktor prasident witwe gebruder"
        " dhr mevr mevrouw meneer kapitein sig signor signora signore don dona senor senora sr sra capitan capitano"
        " jr jun junior sen senior fils filho der jungere altere"
        " co comp company cie compagnie ltd ltda limited inc corp corporation plc llc lp gmbh ag kg ohg sa sarl sas"
        " spa srl nv bv ab as oy aps kk pte pty sdn bhd sohn sohne sons bros brothers gebr freres ste societe"
        " gesellschaft firma firm maison fa messrs"
        " city town county state stadt dorf ville canton kanton port hafen harbour harbor street strasse rue island"
        " insel republic province"
        " ss hms uss mv mt ms mts vessel ship steamer schooner brig barque bark sloop"
    ).split()
)

_FUNCTION_WORD = 0.35
_BRACKETED = 0.3
_DESIGNATION = 0.45
_SHORT = 0.5
_INITIAL = 0.65
_COMMON = 0.6
_APPOSITION = 0.6
_COMMON_LETTER = 0.06
_LETTER = 0.05
_APPOSITION_WORDS = 2
_INITIALS = 2
_ACRONYM = 3
_ABBREVIATION = 5


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a quote.

    ``quote.text[start:end]`` is the word, ``letters`` what it folds to; ``price`` is that of leaving it
    out, None where that is never allowed.
    """

    letters: str
    start: int
    end: int
    price: float | None


def split_words(text: str, table: FoldTable) -> list[Word]:
    """Splits a quote into its words."""
    words: list[Word] = []
    start = -1
    depth = 0
    comma = _last_comma(text)
    for position, symbol in enumerate(text + SEPARATOR):
        if table[ord(symbol)] == SEPARATOR:
            if start >= 0:
                letters = text[start:position].translate(table)
                words.append(Word(letters, start, position, _price(text, start, position, letters, depth > 0, -1 < comma < start)))
                start = -1
            depth += (symbol in "([") - (symbol in ")]")
        elif start < 0 and table[ord(symbol)]:
            start = position
    return words


def abbreviates(written: str, quoted: str) -> bool:
    """Whether one of two folded words abbreviates the other: Prof, Dr, Mme, v for von, MM for several.

    The page may abbreviate to one letter, the quote may not.
    """
    return _shortens(written, quoted) or (len(quoted) > 1 and _shortens(quoted, written))


def _shortens(short: str, long: str) -> bool:
    if len(short) >= len(long) or len(short) > _ABBREVIATION or short[:1] != long[:1]:
        return False
    if len(short) == 1:
        return long in _DESIGNATIONS or long in FUNCTION_WORDS
    if short in FUNCTION_WORDS or long in FUNCTION_WORDS:
        return False
    if short == short[0] * len(short):
        return True
    rest = iter(long)
    return all(letter in rest for letter in short)


def _last_comma(text: str) -> int:
    """Where the last comma stands, if letters and nothing but one short apposition follow it."""
    comma = text.rfind(", ")
    return comma if len(text[comma + 1 :].split()) <= _APPOSITION_WORDS else -1


def _price(text: str, start: int, end: int, letters: str, bracketed: bool, apposed: bool) -> float | None:
    if any(letter.isdigit() for letter in letters):
        return None
    price = _BRACKETED if bracketed else _price_of_kind(text, start, end, letters)
    if price is None and apposed:
        price = _APPOSITION
    return None if price is None else price + _LETTER * len(letters)


def _price_of_kind(text: str, start: int, end: int, letters: str) -> float | None:
    if letters in FUNCTION_WORDS and (len(letters) <= 3 or text[start].islower()):
        return _FUNCTION_WORD
    if letters in _DESIGNATIONS:
        return _DESIGNATION
    if _is_glued(text, start, end):
        return None
    written = text[start:end]
    dotted = text[end : end + 1] == "."
    if (dotted and _INITIALS <= len(letters) <= _ABBREVIATION) or (written.isupper() and len(letters) == _ACRONYM):
        return _SHORT
    if len(letters) <= _INITIALS:
        return _INITIAL
    return _COMMON + _COMMON_LETTER * len(letters) if written[0].islower() else None


def _is_glued(text: str, start: int, end: int) -> bool:
    """Whether a word hangs together with another, as after a hyphen."""
    before = text[start - 1 : start]
    after = text[end : end + 1]
    return not (before.isspace() or before in ".,") or not (after.isspace() or after in ".,")
