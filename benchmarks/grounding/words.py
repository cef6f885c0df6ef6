"""The words of which invented pages are made."""

from typing import Final

__all__ = ["FILLER", "FIRST_NAMES", "MONTHS", "NUMERALS", "PORTS", "SHIPS", "SURNAMES"]

SHIPS: Final = (
    "Aurora", "Thalassa", "Meteor", "Neptun", "Hertha", "Gladiator", "Bellerophon", "Clementine",
    "Amphitrite", "Calypso", "Iduna", "Wodan", "Najade", "Pomona", "Concordia", "Fortuna", "Albatros",
    "Hirondelle", "Clotilde", "Wanderer", "Nautilus", "Dolphin", "Swallow", "Freya", "Skjold", "Dagmar",
    "Ingeborg", "Sleipner", "Titania", "Oberon", "Prospero", "Cordelia", "Rosalind", "Jupiter", "Orion",
    "Sirius", "Capella", "Antares", "Arcturus",
)  # fmt: skip
PORTS: Final = (
    "Stralsund", "Wismar", "Rostock", "Memel", "Libau", "Reval", "Kronstadt", "Helsingfors", "Malmö",
    "Arendal", "Stavanger", "Bergen", "Tromsö", "Archangel", "Leith", "Dundee", "Grimsby", "Harwich",
    "Plymouth", "Falmouth", "Swansea", "Bristol", "Dublin", "Belfast", "Galway", "Lorient", "Nantes",
    "Bordeaux", "Bayonne", "Bilbao", "Santander", "Oporto", "Lisbon", "Malaga", "Valencia", "Toulon",
    "Genoa", "Leghorn", "Palermo", "Ancona", "Trieste", "Patras", "Smyrna", "Odessa", "Varna",
    "Alexandria", "Colombo", "Calcutta", "Rangoon", "Batavia", "Yokohama", "Nagasaki", "Callao",
    "Galveston",
)  # fmt: skip
FIRST_NAMES: Final = (
    "Ludwig", "Otto", "Emil", "Gustav", "Friedrich", "Wilhelm", "Jules", "Louis", "Pierre", "Henri",
    "Marcel", "George", "William", "James", "Robert", "Edward", "Arthur", "Alice", "Jeanne", "Elise",
    "Bertha", "Niels", "Sven", "Torsten", "Ingrid",
)  # fmt: skip
SURNAMES: Final = (
    "Petersen", "Nielsen", "Claussen", "Brinkmann", "Siemers", "Laeisz", "Godeffroy", "Rickmers",
    "Vinnen", "Sloman", "Donner", "Berenberg", "Duhamel", "Castaing", "Tardieu", "Thornycroft",
    "Wetherby", "Ramsay", "Colquhoun", "Brocklebank", "Cunard", "Dempster", "Ropner", "Furness", "Withy",
    "Halvorsen", "Lindqvist", "Moberg", "Rasmussen", "Ekström", "Kettleby", "Osborne", "Trelawney",
    "Pasquier", "Delmas",
)  # fmt: skip
MONTHS: Final = (
    "January", "February", "March", "April", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
NUMERALS: Final = ("II", "III", "IV", "VI", "VII", "IX", "XI", "XII", "XIV")
FILLER: Final = (
    "the", "ship", "that", "lay", "in", "their", "harbour", "was", "sold", "at", "noon", "with", "all",
    "her", "gear", "while", "lying", "off", "under", "repair", "by", "order", "of", "owners", "who", "it",
    "is", "said", "had", "paid", "nothing", "since", "they", "were", "insured", "and", "on", "the",
    "improvement", "of", "trade", "which", "is", "still", "to", "come", "for", "all", "of", "us", "hear",
    "no", "more", "from", "home", "than", "a", "letter", "of", "last", "month", "when", "we", "left",
    "the", "illness", "behind",
)  # fmt: skip
