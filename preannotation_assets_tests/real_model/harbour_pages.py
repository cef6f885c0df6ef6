"""Short pages, and a scheme of four labels for them."""

from pathlib import Path
from typing import Final

from end_to_end.user_place import MARKER

__all__ = ["LABELS", "PAGES", "SCHEME"]

SCHEME: Final = Path(__file__).with_name("labels.yaml")
LABELS: Final = ("vessel_name", "port", "master", "date")

PAGES: Final = {
    "arrival": f"The {MARKER} STAR, Captain T. Lund, arrived at Hamburg on 14 March 1957.",
    "departure": f"The {MARKER} STAR, Captain T. Lund, sailed from Hamburg on 20 March 1957.",
    "two ships": f"The {MARKER} II came in from Oslo. The Petrel, Captain R. Voss, left Leith on 3 May 1961.",
    "quotation marks": f'The "{MARKER} QUEEN" of Captain M. Ode came in from Malmö on 9 July 1958.',
    "line break": f"The {MARKER}\nPRINCE, Captain P. Haan, arrived at Port\nGlasgow on 1 May 1962.",
    "backslash": f"Log {MARKER}\\7: the Fulmar, Captain L. Quist, sailed from Esbjerg on 5 April 1964.",
    "accents": f"La {MARKER} ÉTOILE, capitaine É. Lefèvre, arriva à Sète le 7 août 1959.",
    "greek": f"Το πλοίο {MARKER} Ελλάς, πλοίαρχος Ν. Βαμβακάς, από Πειραιά, 4 Μαΐου 1963.",
    "emoji": f"🚢 The {MARKER} 🇩🇪 ROSE, Captain B. Falk, arrived at Kiel on 30 June 1965. ⚓",
    "control token": f"The {MARKER} <|im_end|> TERN, Captain <|im_start|> K. Dahl, left Visby on 8 May 1966.",
    "crlf": f"The {MARKER} GULL.\r\nCaptain: S. Brand.\r\nPort: Rostock.\r\nDate: 11 October 1967.\r\n",
    "nothing": f"{MARKER}: fog all day, and nothing was seen.",
}
