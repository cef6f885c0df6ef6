"""Word lists of the rules: ports and towns, flags, cargo, months, and words that are no names.

In English, German and French.
"""

__all__ = ["CARGOES", "COMMON_WORDS", "FLAGS", "FORM_WORDS", "INVENTED", "MONTHS", "PLACES"]


def _listed(text: str) -> tuple[str, ...]:
    """The entries of a comma-separated list over several lines."""
    return tuple(" ".join(entry.split()) for entry in text.split(","))


PLACES = _listed(
    """
    Aberdeen, Aden, Alexandria, Alexandrie, Alger, Algiers, Altona, Amsterdam, Antwerp, Antwerpen,
    Anvers, Archangel, Athen, Athens, Athènes, Auckland, Baltimore, Bangkok, Barcelona, Barcelone,
    Basel, Batavia, Bayonne, Beirut, Belfast, Bergen, Berlin, Bern, Berne, Beyrouth, Bilbao, Bombay,
    Bordeaux, Boston, Boulogne, Bremen, Bremerhaven, Brest, Breslau, Bristol, Brussels, Brüssel,
    Bruxelles, Buenos Aires, Buenos Ayres, Cadiz, Cádiz, Cairo, Calais, Calcutta, Canton, Cape Town,
    Cardiff, Cartagena, Cherbourg, Chicago, Colombo, Constantinople, Constantza, Copenhagen, Copenhague,
    Cork, Cuxhaven, Danzig, Dantzig, Dieppe, Dover, Douvres, Dresden, Dublin, Dundee, Dunkerque,
    Dunkirk, Dünkirchen, Edinburgh, Emden, Falmouth, Fiume, Flensburg, Florence, Frankfurt, Galatz,
    Galveston, Genf, Geneva, Genève, Gênes, Genoa, Genua, Gibraltar, Glasgow, Gloucester, Gothenburg,
    Göteborg, Gravesend, Greenock, Grimsby, Guernsey, Halifax, Hamburg, Hambourg, Havana, Havanna,
    Havre, Helsinki, Helsingfors, Hong Kong, Hongkong, Honolulu, Hull, Istanbul, Jersey, Kalkutta,
    Kapstadt, Karachi, Kiel, Kingston, Klaipeda, Kobe, Köln, Cologne, Königsberg, Konstantinopel,
    Kopenhagen, La Haye, La Rochelle, Lausanne, Le Havre, Leghorn, Leipzig, Leith, Lemberg, Lille, Lima,
    Limassol, Lisbon, Lisbonne, Lissabon, Livorno, Liverpool, London, Londonderry, Londres, Lorient,
    Lübeck, Lyon, Lyons, Madras, Madrid, Mailand, Malaga, Malta, Manchester, Manila, Marseille,
    Marseilles, Melbourne, Memel, Milan, Milford, Mobile, Monrovia, Montevideo, Montreal, Montréal,
    Moscou, Moscow, Moskau, Mumbai, München, Munich, Nagasaki, Nantes, Naples, Neapel, New Orleans, New
    York, New-York, Newcastle, Newport, Newyork, Nice, Norfolk, Odessa, Oporto, Oslo, Ostend, Ostende,
    Ostia, Palermo, Panama City, Panamá, Paris, Pernambuco, Petersburg, Philadelphia, Philadelphie,
    Piraeus, Pirée, Plymouth, Pola, Portland, Porto, Port Said, Portsmouth, Potsdam, Prag, Prague,
    Quebec, Québec, Ragusa, Ramsgate, Rangoon, Reval, Reykjavik, Riga, Rio de Janeiro, Rochefort, Rom,
    Rome, Rostock, Rotterdam, Rouen, Saigon, Saint-Malo, Saint-Nazaire, Salonica, Saloniki, Samsun, San
    Francisco, Santos, Scarborough, Sebastopol, Sewastopol, Shanghai, Sheerness, Singapore, Smyrna,
    Smyrne, Southampton, Stettin, Stockholm, Strasbourg, Straßburg, Sunderland, Swansea, Sydney,
    Tallinn, Tanger, Tangier, Teneriffe, Toulon, Toulouse, Travemünde, Trieste, Triest, Tripoli, Tunis,
    Turin, Valencia, Valletta, Valparaiso, Varna, Venedig, Venice, Venise, Vienna, Vienne, Vigo,
    Vlissingen, Warnemünde, Warsaw, Warschau, Varsovie, Washington, Waterford, Weymouth, Whitby, Wien,
    Wilhelmshaven, Wismar, Yarmouth, Yokohama, Zeebrugge, Zürich, Zurich, Busan, Chennai, Dubai, Durban,
    Felixstowe, Fujairah, Haifa, Houston, Jakarta, Jeddah, Kaohsiung, Lagos, Los Angeles, Majuro,
    Mombasa, Nassau, Ningbo, Port Klang, Qingdao, Santa Cruz, Tianjin, Tokyo, Vancouver, Yangon
    """
)

FLAGS = _listed(
    """
    Antigua and Barbuda, Argentina, Australia, Austria, Bahamas, Belgium, Bermuda, Brazil, Canada,
    Chile, China, Croatia, Cyprus, Denmark, Egypt, Estonia, Finland, France, Germany, Gibraltar, Greece,
    Honduras, Hong Kong, India, Indonesia, Ireland, Israel, Italy, Japan, Kiribati, Korea, Latvia,
    Liberia, Lithuania, Luxembourg, Malaysia, Malta, Marshall Islands, Mexico, Netherlands, New Zealand,
    Norway, Panama, Philippines, Poland, Portugal, Russia, Saint Vincent, Singapore, Spain, Sweden,
    Switzerland, Taiwan, Thailand, Turkey, Tuvalu, Ukraine, United Kingdom, United States, Uruguay,
    Vanuatu, Vietnam, American, Austrian, Belgian, British, Danish, Dutch, English, Finnish, French,
    German, Greek, Italian, Japanese, Norwegian, Portuguese, Prussian, Russian, Spanish, Swedish,
    Turkish, Belgien, Dänemark, Deutschland, Frankreich, Griechenland, Großbritannien, Italien,
    Norwegen, Österreich, Rußland, Schweden, Spanien, Allemagne, Angleterre, Autriche, Belgique,
    Danemark, Espagne, Grèce, Italie, Norvège, Pays-Bas, Russie, Suède
    """
)

CARGOES = _listed(
    """
    aluminium, ammonia, asphalt, bananas, barley, bauxite, cement, cheese, clinker, coal, coals, cocoa,
    coffee, coke, copper, copra, cotton, crude oil, deals, fertiliser, fertilizer, fish, flax, flour,
    fruit, fuel oil, gas oil, general cargo, grain, gravel, guano, gypsum, hemp, herrings, hides, ice,
    indigo, iron, iron ore, jute, lead, linseed, livestock, maize, mahogany, molasses, nitrate, oats,
    oranges, palm oil, petroleum, phosphate, pig iron, potatoes, rice, rum, rye, salt, sand, silk,
    slate, soda, steel coils, sugar, sulphur, tallow, tar, tea, timber, tobacco, whale oil, wheat, wine,
    wood, wool, Baumwolle, Blei, Butter, Eisen, Erz, Getreide, Gerste, Hafer, Holz, Kaffee, Kakao,
    Kohle, Kohlen, Kupfer, Mehl, Reis, Roggen, Salz, Stückgut, Tabak, Tee, Wein, Weizen, Wolle, Zement,
    Zucker, acier, avoine, beurre, blé, bois, café, charbon, ciment, coton, cuivre, farine, fer,
    froment, houille, laine, maïs, marchandises diverses, minerai, orge, plomb, riz, seigle, sel, sucre,
    tabac, thé, vin, vins
    """
)

MONTHS = _listed(
    """
    January, February, March, April, May, June, July, August, September, October, November, December,
    Januar, Jänner, Februar, Feber, März, Mai, Juni, Juli, Oktober, Dezember, janvier, février, mars,
    avril, mai, juin, juillet, août, septembre, octobre, novembre, décembre, Jan., Feb., Mar., Apr.,
    Jun., Jul., Aug., Sept., Sep., Okt., Oct., Nov., Dez., Dec., janv., févr., juill., déc., Jan, Feb,
    Mar, Apr, Jun, Jul, Aug, Sep, Oct, Nov, Dec, JAN, FEB, MAR, APR, MAY, JUN, JUL, AUG, SEP, OCT, NOV,
    DEC
    """
)

FORM_WORDS = frozenset(
    _listed(
        """
        agent, agents, and, arrival, builder, built, call, captain, capt, charterer, charterers,
        cargo, das, date, departure, der,
        details, die, discharge, flag, gross, imo, la, le, les, loading, master, name, names, no, number,
        owner, owners, particulars, port, register, registered, registry, report, sign, the, tonnage, type,
        un, une, voyage
        """
    )
)
"""Words of forms and headings that stand where a name is expected and are none."""

COMMON_WORDS = frozenset(
    _listed(
        """
        the, of, and, to, in, a, is, that, for, it, as, was, with, be, by, on, not, he, his, but, at, are,
        this, have, from, or, had, an, they, which, you, were, all, their, has, would, what, will, there,
        if, can, more, when, who, so, no, said, one, we, been, about, them, some, into, only, other, time,
        new, could, these, two, may, then, do, first, any, my, now, such, like, our, over, me, even, most,
        made, after, also, did, many, before, must, through, back, years, where, much, your, way, well,
        down, should, because, each, just, those, people, how, too, little, state, good, very, make, world,
        still, see, own, men, work, long, here, get, both, between, under, never, day, same, another, know,
        while, last, might, us, great, old, year, off, come, since, against, go, came, right, used, take,
        three, states, himself, few, house, use, during, without, again, place, american, around, however,
        home, small, found, thought, went, say, part, once, general, high, upon, school, every, water, left,
        number, course, war, until, always, away, something, fact, though, less, public, put, hand, think,
        almost, far, took, head, yet, government, system, set, better, told, nothing, night, end, why, find,
        asked, going, point, knew, give, company, order, country, given, possible, called, city, large,
        members, service, young, several, present, second, family, early, side, kind, within, name, captain,
        ship, vessel, port, master, built, owner, owners, flag, cargo, sailed, arrived, bound, sea, coast,
        river, page, text, lord, king, street, united, london, england, french, british, land, power, money,
        morning, received, majesty, paris
        """
    )
)
"""Common English words, which a tokenizer has in one piece."""

INVENTED: dict[str, tuple[str, ...]] = {
    "vessel_name": ("Pale Meridian", "Quillon Star", "Nordwind Aster", "Belle Ombrière"),
    "imo_number": ("9074729", "9305611"),
    "call_sign": ("ZQXV7", "XVQJ"),
    "flag": ("Tuvalu", "Kiribati"),
    "port_of_registry": ("Nuku'alofa", "Port Vila"),
    "port": ("Tristan da Cunha", "Longyearbyen", "Papeete"),
    "owner": ("Quillon Maritime Ltd", "Aster Schiffahrt GmbH"),
    "master": ("Capt. Odo Fenwright", "Kapitän Ulf Quandt"),
    "builder": ("Werft Quandt & Söhne", "Chantiers de l'Ombrière"),
    "year_built": ("1899", "2031"),
    "gross_tonnage": ("77,777", "4321"),
    "date": ("31 February 1911", "30. Februar 2024"),
    "cargo": ("obsidian", "Bernstein"),
    "person": ("Mr. Quillon", "Mme Ombrière"),
}
"""By kind of entity: what an answer may hold that no page says."""
