"""What a code point costs in tokens of Llama 3, by its class and the class of the one before it.

docs/chunking.md says how this was measured. The costs of what Latin pages have
stay: others would cut pages elsewhere, and every answer that was paid for would be asked for again. What
other tokenizers do otherwise is learned by kind of character (``token_kinds``, ``token_learning``).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from preannotation_assets.extraction.token_kinds import TokenKind

__all__ = [
    "BREAK",
    "CAPITALS_BASE",
    "CAPITALS_SHARE",
    "CLASSES",
    "CLASS_OF_CODE_POINT",
    "COST_OF_PAIR",
    "COST_UNIT",
    "DIGIT",
    "FUSED_UNITS",
    "IN_LONG_RUNS",
    "KIND_OF_PAIR",
    "LETTERS",
    "LONG_WORD",
    "OTHER_LETTER",
    "OTHER_RUN_UNITS",
    "PAIR_COSTS",
    "RETURN",
    "RUN_UNITS",
    "UNITS",
]

# Lifts the mean cost of splitting words to an upper-side one.
_SAFETY: Final = 1.22

# Costs are whole numbers of this part of a token, so that sums do not depend on their order.
UNITS: Final = 1024

# Letters with a row of their own; the last row stands for every other Latin letter with a diacritic.
LETTERS: Final = "abcdefghijklmnopqrstuvwxyzéäöüß"
OTHER_LETTER: Final = len(LETTERS)
_LETTER_CLASSES: Final = OTHER_LETTER + 1
_FIRST_DIACRITIC: Final = LETTERS.index("é")

# Costs in 1/32 token, one base-36 digit each. Row: the letter before; column: the letter.
PAIR_COSTS: Final = (
    "n657mb9bak4071k8l053b5j407umylch",
    "5hpn2nst11h3ho7pk20e5lmk0ldzkhlg",
    "3p3h0jn6as97dt0de5o02qem5oknpsl0",
    "3uc30nay0spead5nja7d698m9ifhddlf",
    "4ha05aekdke676ed9338fki05ghuizjs",
    "6lsn78kp4vgdin1rj0g7annfjt6y07l8",
    "9qn86nd06pbam85mk0le9vpf6keo5jlp",
    "2pro2hms2xgebe4lm6m7c8gh0kjaiwlg",
    "a908b9e7oq73200ba342r1q5jelztpmm",
    "5hnd0jnlbr0jcq347i5y7jroovzwjylh",
    "aopb7fj6bqfiomgrl9afllqu5pqn3rlo",
    "4of72khx5zf6gh674n9e7iso0qnlniln",
    "22p60rpz4xtqbq46k9gocuom6pjrngla",
    "8u473g697qhmfd5pf872aczkgk7duan9",
    "g559f35bctc64048r0a9271h9flnloig",
    "3i3r0on3amo0e906h0102iis9mhrtrl8",
    "opqunwwtlwyhprrngjoj0mrhvzollmlo",
    "8q8a4qdsazgfad6mae8bfrlj0efznclk",
    "9sbb0ko02ygcmt4cgpb17pkm9lksillf",
    "bygp5nu05zkc8o8np38aelgv1n8pu7le",
    "7a3c456a57g241jcq050udw0cffplksl",
    "avtx0llh8pggm96rq7qnfkoi8ognzyl5",
    "1jzk0jn00rggi40iq90pconl6qkfilsp",
    "7obodkwk9tqkjp95rpo0rmq1glvnlllj",
    "6lgw7szqdwijhhbvwqbiawnszlepu4lk",
    "cmjh7hmr7uldo48lnwqaarfc0onkqylj",
    "kqisbok7p6ogedvlta93illuywkllllt",
    "kpgiulaaycxnd9zzl5i7uzll8nl9llcz",
    "ovtxo93ntefhldmzl9hhlgvoa5llflda",
    "m8gyxsphrl7i07lql1bhoslo20lllor9",
    "motm5zszilt7qznrlvytzlullqllllpr",
    "szxmjzzinzjea0otzgluwoz01eusz7lb",
)
COST_UNIT: Final = 1 / 32
# A pair of capitals costs about as much as this plus this share of the same pair in small letters.
CAPITALS_BASE: Final = 0.3
CAPITALS_SHARE: Final = 0.52
# Letters with a diacritic are rarely neighbours in a word of any language.
_DIACRITIC_PAIR: Final = 1.0
_OTHER_DIACRITIC_PAIR: Final = 1.9

# The first letter of a word; punctuation before it often belongs to the same token.
_WORD: Final = 1.0
_WORD_AFTER_BREAK: Final = 1.1
_WORD_AFTER_PUNCTUATION: Final = (0.6, 0.7)
_CAPITAL_AFTER_SMALL: Final = 1.2
_PUNCTUATION_PAIR: Final = 0.8
_BREAK_AFTER_PUNCTUATION: Final = 0.3

_SMALL: Final = 0
_CAPITAL: Final = _LETTER_CLASSES
DIGIT: Final = 2 * _LETTER_CLASSES
_SPACE: Final = DIGIT + 1
BREAK: Final = DIGIT + 2
RETURN: Final = DIGIT + 3
_PUNCTUATION: Final = DIGIT + 4
_SCRIPTS: Final = DIGIT + 5

# A space before a foreign letter is often a token of its own; with Qwen before most Greek and Thai ones.
_SPACE_BEFORE_SCRIPT: Final = 0.3
_SPACE_BEFORE_KIND: Final = {TokenKind.GREEK: 0.7, TokenKind.THAI: 0.7, TokenKind.THAI_DIGITS: 0.7}

# Class of code points outside ASCII, first match wins: (first, last, tokens a code point, its
# kind). Where nothing is measured, a code point costs as many tokens as it has UTF-8 bytes, which is the most
# there can be.
_SCRIPT_COSTS: Final = (
    (0x0000, 0x001F, 1.0, TokenKind.SIGNS),  # control characters
    (0x0386, 0x03CE, 1.05, TokenKind.GREEK),  # Greek
    (0x0400, 0x045F, 1.05, TokenKind.CYRILLIC),  # Cyrillic of the living languages
    (0x0621, 0x064A, 1.0, TokenKind.ARABIC),  # Arabic letters
    (0x05D0, 0x05EA, 1.5, TokenKind.HEBREW),  # Hebrew letters
    (0x0660, 0x0669, 2.0, TokenKind.ARABIC_DIGITS),
    (0x06F0, 0x06F9, 2.0, TokenKind.ARABIC_DIGITS),  # Persian and Urdu digits
    (0x0966, 0x096F, 1.5, TokenKind.DEVANAGARI_DIGITS),
    (0x0900, 0x097F, 1.5, TokenKind.DEVANAGARI),
    (0x0E50, 0x0E59, 2.0, TokenKind.THAI_DIGITS),
    (0x0E00, 0x0E7F, 1.3, TokenKind.THAI),  # Thai
    (0x1E00, 0x1EFF, 2.1, TokenKind.ACCENTS),  # Latin of Vietnamese
    (0x1F00, 0x1FFF, 2.0, TokenKind.GREEK),  # Greek with accents and breathings
    (0x2010, 0x205E, 1.8, TokenKind.SIGNS),  # dashes, quotation marks, bullets
    (0x2070, 0x21FF, 2.0, TokenKind.SIGNS),  # currencies, letter-like signs, arrows
    (0x2500, 0x25FF, 2.0, TokenKind.SIGNS),  # boxes, blocks, shapes
    (0x2700, 0x27BF, 2.0, TokenKind.SIGNS),  # dingbats
    (0x3001, 0x303F, 1.8, TokenKind.IDEOGRAPHS),  # ideographic punctuation
    (0x3041, 0x30FF, 1.2, TokenKind.KANA),  # kana
    (0x4E00, 0x9FFF, 2.0, TokenKind.IDEOGRAPHS),  # ideographs
    (0xAC00, 0xD7A3, 2.3, TokenKind.KOREAN),  # Hangul
    (0xFFFD, 0xFFFD, 1.0, TokenKind.SIGNS),  # what a decoder puts for what it cannot read
    (0x00A0, 0x00BF, 1.0, TokenKind.SIGNS),  # Latin-1 signs
    (0xFF01, 0xFF5E, 3.0, TokenKind.IDEOGRAPHS),  # ASCII as wide as ideographs
    (0x0180, 0x024F, 2.0, TokenKind.ACCENTS),  # more Latin letters
    (0x0300, 0x036F, 2.0, TokenKind.ACCENTS),  # combining marks
    (0x0590, 0x05FF, 2.0, TokenKind.HEBREW),  # points and signs
    (0x0600, 0x06FF, 2.0, TokenKind.ARABIC),  # marks, letters of Persian and Urdu
    (0x0750, 0x077F, 2.0, TokenKind.ARABIC),  # letters of other languages
    (0x3000, 0x3000, 3.0, TokenKind.WIDTHS),  # the ideographic space
    (0xFB1D, 0xFB4F, 3.0, TokenKind.HEBREW),  # presentation forms
    (0xFB50, 0xFDFF, 3.0, TokenKind.ARABIC),  # presentation forms
    (0xFE70, 0xFEFE, 3.0, TokenKind.ARABIC),  # presentation forms
    (0xFF5F, 0xFFEF, 3.0, TokenKind.WIDTHS),  # half-width kana
    (0x0080, 0x07FF, 2.0, TokenKind.OTHER_SCRIPTS),
    (0x0800, 0xFFFF, 3.0, TokenKind.OTHER_SCRIPTS),
)
_ASTRAL_COST: Final = 4.0
_BMP: Final = 0x10000
CLASSES: Final = _SCRIPTS + len(_SCRIPT_COSTS) + 1
_ASTRAL: Final = CLASSES - 1

# A code point equal to the two before it: long runs are in the vocabulary as a whole.
_LONG_RUNS: Final = " \n\t.-_=*#/"
RUN_UNITS: Final = UNITS // 12
OTHER_RUN_UNITS: Final = UNITS // 2

# A letter with this many letters of one word before it: where the OCR lost the spaces, words begin
# unseen.
LONG_WORD: Final = 16
FUSED_UNITS: Final = UNITS // 7


def _class_of_code_point() -> NDArray[np.uint16]:
    """Returns the class of every code point of the Basic Multilingual Plane and one above it."""
    classes = np.full(_BMP + 1, _PUNCTUATION, dtype=np.uint16)
    for index in reversed(range(len(_SCRIPT_COSTS))):
        first, last, _, _ = _SCRIPT_COSTS[index]
        classes[first : last + 1] = _SCRIPTS + index
    classes[_BMP] = _ASTRAL
    for code_point in range(0xC0, 0x180):
        character = chr(code_point)
        if character.isalpha():
            classes[code_point] = (_SMALL if character.islower() else _CAPITAL) + OTHER_LETTER
    for index, letter in enumerate(LETTERS):
        classes[ord(letter)] = _SMALL + index
        if len(letter.upper()) == 1:
            classes[ord(letter.upper())] = _CAPITAL + index
    for digit in "0123456789":
        classes[ord(digit)] = DIGIT
    classes[ord(" ")] = _SPACE
    for character in "\n\t\v\f":
        classes[ord(character)] = BREAK
    classes[ord("\r")] = RETURN
    return classes


def _letter_costs() -> NDArray[np.float64]:
    """Returns the cost of a small letter after a small letter, ``[before, letter]``."""
    rows = [[int(digit, 36) * COST_UNIT for digit in row] for row in PAIR_COSTS]
    costs = np.array(rows, dtype=np.float64)
    diacritics = slice(_FIRST_DIACRITIC, _LETTER_CLASSES)
    costs[diacritics, diacritics] = np.maximum(costs[diacritics, diacritics], _DIACRITIC_PAIR)
    costs[OTHER_LETTER, OTHER_LETTER] = _OTHER_DIACRITIC_PAIR
    return costs


def _cost_of_pair() -> NDArray[np.int32]:
    """Returns the cost of a code point in 1/1024 token, ``[class before, class]`` flattened."""
    small = slice(_SMALL, _SMALL + _LETTER_CLASSES)
    capital = slice(_CAPITAL, _CAPITAL + _LETTER_CLASSES)
    costs = np.ones((CLASSES, CLASSES), dtype=np.float64)
    for case, after_punctuation in zip((small, capital), _WORD_AFTER_PUNCTUATION, strict=True):
        costs[:, case] = _WORD
        costs[BREAK, case] = costs[RETURN, case] = costs[DIGIT, case] = _WORD_AFTER_BREAK
        costs[_PUNCTUATION, case] = after_punctuation
    pairs = _letter_costs()
    costs[small, small] = costs[capital, small] = _SAFETY * pairs
    costs[capital, capital] = _SAFETY * (CAPITALS_BASE + CAPITALS_SHARE * pairs)
    costs[small, capital] = _CAPITAL_AFTER_SMALL
    costs[DIGIT, DIGIT] = 1 / 3
    costs[:, _SPACE] = 0.0
    costs[_SPACE, _SPACE] = 1.0
    costs[_SPACE, DIGIT] = 2.0
    costs[RETURN, BREAK] = 0.0
    costs[_PUNCTUATION, _PUNCTUATION] = _PUNCTUATION_PAIR
    costs[_PUNCTUATION, BREAK] = _BREAK_AFTER_PUNCTUATION
    for index, (_, _, cost, kind) in enumerate(_SCRIPT_COSTS):
        costs[:, _SCRIPTS + index] = cost
        costs[_SPACE, _SCRIPTS + index] += _SPACE_BEFORE_KIND.get(kind, _SPACE_BEFORE_SCRIPT)
    costs[:, _ASTRAL] = _ASTRAL_COST
    costs[_SPACE, _ASTRAL] += _SPACE_BEFORE_SCRIPT
    return np.ceil(costs * UNITS).astype(np.int32).ravel()


def _kind_of_pair() -> NDArray[np.uint8]:
    """Returns the place of the kind of a code point, ``[class before, class]`` flattened."""
    place = {kind: index for index, kind in enumerate(TokenKind)}
    kinds = np.zeros((CLASSES, CLASSES), dtype=np.uint8)
    capitals = slice(_CAPITAL, DIGIT)
    kinds[:, :DIGIT] = place[TokenKind.WORDS]
    kinds[:DIGIT, :DIGIT] = place[TokenKind.LETTERS]
    kinds[capitals, capitals] = place[TokenKind.CAPITALS]
    kinds[:, DIGIT] = place[TokenKind.FIRST_DIGITS]
    kinds[DIGIT, DIGIT] = place[TokenKind.DIGITS]
    kinds[:, [_SPACE, BREAK, RETURN]] = place[TokenKind.BREAKS]
    kinds[:, _PUNCTUATION] = place[TokenKind.PUNCTUATION]
    for index, (_, _, _, kind) in enumerate(_SCRIPT_COSTS):
        kinds[:, _SCRIPTS + index] = place[kind]
    kinds[:, _ASTRAL] = place[TokenKind.OTHER_SCRIPTS]
    return kinds.ravel()


CLASS_OF_CODE_POINT: Final = _class_of_code_point()
COST_OF_PAIR: Final = _cost_of_pair()
KIND_OF_PAIR: Final = _kind_of_pair()
IN_LONG_RUNS: Final = np.isin(np.arange(128), [ord(character) for character in _LONG_RUNS])
