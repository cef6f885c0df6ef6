"""Which letters are taken for which, by their shape or by spelling.

The tables speak of printed letters and European spelling in general, both cases folded together. They
are closed under exchange: it does not matter whether the page or the model is right.
"""

from collections.abc import Mapping

__all__ = ["BROKEN_LETTERS", "CLOSE", "LATIN_CAPITALS", "LIGATURES", "LOOKALIKES", "LOOKALIKE_GROUPS"]

# Letters of other scripts whose capitals are those of Latin letters to every reader and engine.
LATIN_CAPITALS: Mapping[str, str] = dict(
    zip("авекмнорстухіјѕԁһԛԝӏαβεζηικμνορτυχ", "abekmhopctyxijsdhqwlabezhikmnoptyx", strict=True)
)

# Single letters that differ by a hair line, a dot or a broken stroke.
_CLOSE_PAIRS = (
    "il i1 l1 ij lj lt it ft fs ce co eo o0 ao ae nu uv vy hb hk rt br s5 b8 b6 z2 gq g9 q9 g6 з3 б6 ч4"  # noqa: RUF001
)

# Single letters that share their main strokes in some case of some common typeface.
_PAIRS = (
    # stems and hooks
    "1t 1j 7t 71 fl fi fj ri lr 1r jt 4a"
    # round letters
    " ac ou au c0 0q 0d oq od cg go gy d0 6e"
    # arches and forks
    " nr nm nh mh un uo vr vw wm iy xz xk xs kr kx hm hi wn"
    # bows, bars and tails
    " bp bd bs pn pf pr pq ef ec er sz s8 z7 fp tf te lc ck rv yg ty dg"
)

# One letter that falls apart into two, the commonest ways.
_BROKEN = (
    "m-rn m-in m-ni m-nn m-iu n-ri n-ii n-il n-li u-ii u-li u-il h-li h-ii h-il d-cl d-ol b-lo w-vv w-iv w-vi"
    " k-lc y-ij f-ph"
)

# More groups of letters with the same strokes when they touch or break, and spellings of one sound.
_GROUPS = (
    # m as three stems
    "m-ui m-ru m-tn m-ln m-nt"
    # n, u and h as two stems
    " n-ir n-rr n-ti n-it u-ti u-it u-ll h-lr h-ln h-fi"
    # bowls that break
    " d-ci b-li o-ci a-ci a-ei g-cj q-cj k-ic k-lt y-ii y-ll v-ii x-ic"
    # w as two forks
    " w-uv w-ii w-nu w-in w-ni w-un"
    # pairs of stems shared out differently
    " in-ni in-ui in-nt in-iu in-ru in-rn ni-iu ni-ui rn-nn rn-ru rn-ni iu-ui tt-n tt-u il-u li-il lj-y"
    # ligatures of long s and f
    " ff-ss fi-ss fi-st fl-st fi-si fi-ni ch-eb ch-th ck-el cl-el tz-fz ce-oe"
    # spelling
    " t-th o-oe a-ae u-ue s-ss s-sz ss-sz c-ck k-ck x-ks x-cs oe-ae g-gh k-qu c-qu z-tz c-ch k-ch r-rh y-ie"
)


def _letter_table(pairs: str) -> dict[str, str]:
    others: dict[str, set[str]] = {}
    for pair in pairs.split():
        others.setdefault(pair[0], set()).add(pair[1])
        others.setdefault(pair[1], set()).add(pair[0])
    return {letter: "".join(sorted(found)) for letter, found in others.items()}


def _group_table(pairs: str) -> dict[str, tuple[str, ...]]:
    others: dict[str, set[str]] = {}
    for pair in pairs.split():
        one, other = pair.split("-")
        others.setdefault(one, set()).add(other)
        others.setdefault(other, set()).add(one)
    return {group: tuple(sorted(found)) for group, found in others.items()}


# Three letters of one type, which are lost together.
LIGATURES = frozenset({"ffi", "ffl"})

CLOSE: Mapping[str, str] = _letter_table(_CLOSE_PAIRS)
LOOKALIKES: Mapping[str, str] = _letter_table(_CLOSE_PAIRS + " " + _PAIRS)
BROKEN_LETTERS: Mapping[str, tuple[str, ...]] = _group_table(_BROKEN)
LOOKALIKE_GROUPS: Mapping[str, tuple[str, ...]] = _group_table(_BROKEN + " " + _GROUPS)
