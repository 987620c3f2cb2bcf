"""Places as ISO 3166 writes them, what they are called, and the groups a policy may name. Pure.

Sources: countries, ISO 3166-1 (alpha-2); subdivisions of the United States and Canada, ISO 3166-2;
members of the European Union, Article 52 of its Treaty, and the three states of the European Free
Trade Association that belong to the European Economic Area by the Agreement of 2 May 1992. Of other
countries no subdivisions are listed here: `DE-BY` is known by its form and its country.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

_EU: Final = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK"
_UNION: Final = tuple(_EU.split())

GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "EU": _UNION,
    "EEA": (*_UNION, "IS", "LI", "NO"),
    "UK": ("GB",),
}
"""What may stand for its countries in a list of jurisdictions and in the regional table."""

_GROUP_NAMES: Final[Mapping[str, Mapping[str, str]]] = {
    "EU": {"de": "der Europäischen Union", "en": "the European Union"},
    "EEA": {"de": "dem Europäischen Wirtschaftsraum", "en": "the European Economic Area"},
}

# Code, and the English and the German name as it stands after "in".
_COUNTRIES: Final = """
AD Andorra|AE the United Arab Emirates/den Vereinigten Arabischen Emiraten|AF Afghanistan
AG Antigua and Barbuda/Antigua und Barbuda|AI Anguilla|AL Albania/Albanien|AM Armenia/Armenien
AO Angola|AQ Antarctica/der Antarktis|AR Argentina/Argentinien|AS American Samoa/Amerikanisch-Samoa
AT Austria/Österreich|AU Australia/Australien|AW Aruba|AX the Åland Islands/den Ålandinseln
AZ Azerbaijan/Aserbaidschan|BA Bosnia and Herzegovina/Bosnien und Herzegowina|BB Barbados
BD Bangladesh/Bangladesch|BE Belgium/Belgien|BF Burkina Faso|BG Bulgaria/Bulgarien|BH Bahrain
BI Burundi|BJ Benin|BL Saint Barthélemy|BM Bermuda|BN Brunei|BO Bolivia/Bolivien
BQ Bonaire, Sint Eustatius and Saba/Bonaire, Sint Eustatius und Saba|BR Brazil/Brasilien
BS the Bahamas/den Bahamas|BT Bhutan|BV Bouvet Island/der Bouvetinsel|BW Botswana|BY Belarus
BZ Belize|CA Canada/Kanada|CC the Cocos Islands/den Kokosinseln
CD the Democratic Republic of the Congo/der Demokratischen Republik Kongo
CF the Central African Republic/der Zentralafrikanischen Republik|CG the Congo/der Republik Kongo
CH Switzerland/der Schweiz|CI Côte d’Ivoire|CK the Cook Islands/den Cookinseln|CL Chile
CM Cameroon/Kamerun|CN mainland China/Festlandchina|CO Colombia/Kolumbien|CR Costa Rica|CU Cuba/Kuba
CV Cabo Verde|CW Curaçao|CX Christmas Island/der Weihnachtsinsel|CY Cyprus/Zypern
CZ Czechia/Tschechien|DE Germany/Deutschland|DJ Djibouti/Dschibuti|DK Denmark/Dänemark|DM Dominica
DO the Dominican Republic/der Dominikanischen Republik|DZ Algeria/Algerien|EC Ecuador
EE Estonia/Estland|EG Egypt/Ägypten|EH Western Sahara/der Westsahara|ER Eritrea|ES Spain/Spanien
ET Ethiopia/Äthiopien|FI Finland/Finnland|FJ Fiji/Fidschi|FK the Falkland Islands/den Falklandinseln
FM Micronesia/Mikronesien|FO the Faroe Islands/den Färöern|FR France/Frankreich|GA Gabon/Gabun
GB the United Kingdom/dem Vereinigten Königreich|GD Grenada|GE Georgia/Georgien
GF French Guiana/Französisch-Guayana|GG Guernsey|GH Ghana|GI Gibraltar|GL Greenland/Grönland
GM the Gambia/Gambia|GN Guinea|GP Guadeloupe|GQ Equatorial Guinea/Äquatorialguinea
GR Greece/Griechenland
GS South Georgia and the South Sandwich Islands/Südgeorgien und den Südlichen Sandwichinseln
GT Guatemala|GU Guam|GW Guinea-Bissau|GY Guyana|HK Hong Kong/Hongkong
HM Heard Island and McDonald Islands/Heard und McDonaldinseln|HN Honduras|HR Croatia/Kroatien
HT Haiti|HU Hungary/Ungarn|ID Indonesia/Indonesien|IE Ireland/Irland|IL Israel
IM the Isle of Man/Isle of Man|IN India/Indien
IO the British Indian Ocean Territory/dem Britischen Territorium im Indischen Ozean|IQ Iraq/dem Irak
IR Iran/dem Iran|IS Iceland/Island|IT Italy/Italien|JE Jersey|JM Jamaica/Jamaika|JO Jordan/Jordanien
JP Japan|KE Kenya/Kenia|KG Kyrgyzstan/Kirgisistan|KH Cambodia/Kambodscha|KI Kiribati
KM the Comoros/den Komoren|KN Saint Kitts and Nevis/St. Kitts und Nevis|KP North Korea/Nordkorea
KR South Korea/Südkorea|KW Kuwait|KY the Cayman Islands/den Kaimaninseln|KZ Kazakhstan/Kasachstan
LA Laos|LB Lebanon/dem Libanon|LC Saint Lucia/St. Lucia|LI Liechtenstein|LK Sri Lanka|LR Liberia
LS Lesotho|LT Lithuania/Litauen|LU Luxembourg/Luxemburg|LV Latvia/Lettland|LY Libya/Libyen
MA Morocco/Marokko|MC Monaco|MD Moldova/Moldau|ME Montenegro
MF Saint Martin (French part)/St. Martin (französischer Teil)|MG Madagascar/Madagaskar
MH the Marshall Islands/den Marshallinseln|MK North Macedonia/Nordmazedonien|ML Mali|MM Myanmar
MN Mongolia/der Mongolei|MO Macao|MP the Northern Mariana Islands/den Nördlichen Marianen
MQ Martinique|MR Mauritania/Mauretanien|MS Montserrat|MT Malta|MU Mauritius
MV the Maldives/den Malediven|MW Malawi|MX Mexico/Mexiko|MY Malaysia|MZ Mozambique/Mosambik
NA Namibia|NC New Caledonia/Neukaledonien|NE Niger/dem Niger|NF Norfolk Island/der Norfolkinsel
NG Nigeria|NI Nicaragua|NL the Netherlands/den Niederlanden|NO Norway/Norwegen|NP Nepal|NR Nauru
NU Niue|NZ New Zealand/Neuseeland|OM Oman|PA Panama|PE Peru
PF French Polynesia/Französisch-Polynesien|PG Papua New Guinea/Papua-Neuguinea
PH the Philippines/den Philippinen|PK Pakistan|PL Poland/Polen
PM Saint Pierre and Miquelon/St. Pierre und Miquelon|PN Pitcairn|PR Puerto Rico
PS Palestine/Palästina|PT Portugal|PW Palau|PY Paraguay|QA Qatar/Katar|RE Réunion
RO Romania/Rumänien|RS Serbia/Serbien|RU Russia/Russland|RW Rwanda/Ruanda
SA Saudi Arabia/Saudi-Arabien|SB the Solomon Islands/den Salomonen|SC the Seychelles/den Seychellen
SD Sudan/dem Sudan|SE Sweden/Schweden|SG Singapore/Singapur|SH Saint Helena/St. Helena
SI Slovenia/Slowenien|SJ Svalbard and Jan Mayen/Svalbard und Jan Mayen|SK Slovakia/der Slowakei
SL Sierra Leone|SM San Marino|SN Senegal/dem Senegal|SO Somalia|SR Suriname
SS South Sudan/dem Südsudan|ST Sao Tome and Principe/São Tomé und Príncipe|SV El Salvador
SX Sint Maarten|SY Syria/Syrien|SZ Eswatini
TC the Turks and Caicos Islands/den Turks- und Caicosinseln|TD Chad/dem Tschad
TF the French Southern Territories/den Französischen Südgebieten|TG Togo|TH Thailand
TJ Tajikistan/Tadschikistan|TK Tokelau|TL Timor-Leste|TM Turkmenistan|TN Tunisia/Tunesien|TO Tonga
TR Türkiye/der Türkei|TT Trinidad and Tobago/Trinidad und Tobago|TV Tuvalu|TW Taiwan
TZ Tanzania/Tansania|UA Ukraine/der Ukraine|UG Uganda
UM the United States Minor Outlying Islands/den Kleineren Inseln der Vereinigten Staaten
US the United States/den Vereinigten Staaten|UY Uruguay|UZ Uzbekistan/Usbekistan
VA the Holy See/der Vatikanstadt|VC Saint Vincent and the Grenadines/St. Vincent und den Grenadinen
VE Venezuela|VG the British Virgin Islands/den Britischen Jungferninseln
VI the Virgin Islands of the United States/den Amerikanischen Jungferninseln|VN Viet Nam/Vietnam
VU Vanuatu|WF Wallis and Futuna/Wallis und Futuna|WS Samoa|YE Yemen/dem Jemen|YT Mayotte
ZA South Africa/Südafrika|ZM Zambia/Sambia|ZW Zimbabwe/Simbabwe
"""

_SUBDIVISIONS: Final = """
US-AK Alaska|US-AL Alabama|US-AR Arkansas|US-AS American Samoa|US-AZ Arizona|US-CA California
US-CO Colorado|US-CT Connecticut|US-DC District of Columbia|US-DE Delaware|US-FL Florida
US-GA Georgia (United States)|US-GU Guam|US-HI Hawaii|US-IA Iowa|US-ID Idaho|US-IL Illinois
US-IN Indiana|US-KS Kansas|US-KY Kentucky|US-LA Louisiana|US-MA Massachusetts|US-MD Maryland
US-ME Maine|US-MI Michigan|US-MN Minnesota|US-MO Missouri|US-MP Northern Mariana Islands
US-MS Mississippi|US-MT Montana|US-NC North Carolina|US-ND North Dakota|US-NE Nebraska
US-NH New Hampshire|US-NJ New Jersey|US-NM New Mexico|US-NV Nevada|US-NY New York|US-OH Ohio
US-OK Oklahoma|US-OR Oregon|US-PA Pennsylvania|US-PR Puerto Rico|US-RI Rhode Island
US-SC South Carolina|US-SD South Dakota|US-TN Tennessee|US-TX Texas
US-UM United States Minor Outlying Islands|US-UT Utah|US-VA Virginia|US-VI Virgin Islands
US-VT Vermont|US-WA Washington|US-WI Wisconsin|US-WV West Virginia|US-WY Wyoming
CA-AB Alberta|CA-BC British Columbia|CA-MB Manitoba|CA-NB New Brunswick
CA-NL Newfoundland and Labrador|CA-NS Nova Scotia|CA-NT Northwest Territories|CA-NU Nunavut
CA-ON Ontario|CA-PE Prince Edward Island|CA-QC Quebec|CA-SK Saskatchewan|CA-YT Yukon
"""


def _read(table: str) -> dict[str, tuple[str, str]]:
    """Read a table: code to English and German name."""
    rows = (row.split(" ", 1) for row in table.strip().replace("\n", "|").split("|"))
    both = ((code, said.partition("/")) for code, said in rows)
    return {code: (english, german or english) for code, (english, _, german) in both}


COUNTRIES: Final = _read(_COUNTRIES)
SUBDIVISIONS: Final = _read(_SUBDIVISIONS)
_NAMES: Final = COUNTRIES | SUBDIVISIONS

_LISTED: Final = frozenset(code.partition("-")[0] for code in SUBDIVISIONS)
_FORM: Final = re.compile(r"([A-Z]{2})-[A-Z0-9]{1,3}")


def is_place(code: str) -> bool:
    """Say whether ISO 3166 knows `code`; of the US and Canada, each subdivision by its name."""
    form = _FORM.fullmatch(code)
    if form is None or form[1] in _LISTED:
        return code in COUNTRIES or code in SUBDIVISIONS
    return form[1] in COUNTRIES


def countries_of(code: str) -> tuple[str, ...]:
    """Return the places that `code` stands for: those of a group, or itself."""
    return GROUPS.get(code, (code,))


def expand(codes: Iterable[str]) -> tuple[str, ...]:
    """Return `codes` with each group as its countries, each place once, in their order."""
    return tuple(dict.fromkeys(place for code in codes for place in countries_of(code)))


def expand_ages(ages: Mapping[str, int]) -> dict[str, int]:
    """Return a regional table with each group as its countries.

    A country's own line wins over its group's; of two groups, the higher age does.
    """
    found: dict[str, int] = {}
    for code in ages.keys() & GROUPS.keys():
        for place in GROUPS[code]:
            found[place] = max(found.get(place, 0), ages[code])
    found |= {code: age for code, age in ages.items() if code not in GROUPS}
    return found


def called(codes: Iterable[str], language: str) -> list[str]:
    """Return what places are called, as it stands after "in"; whole groups by one name."""
    left, found = list(dict.fromkeys(codes)), []
    for group in ("EEA", "EU"):
        if set(GROUPS[group]) <= set(left):
            found.append(_GROUP_NAMES[group][language])
            left = [code for code in left if code not in GROUPS[group]]
    return found + [_called(code, language) for code in left]


def _called(code: str, language: str) -> str:
    english, german = _NAMES.get(code, (code, code))
    return german if language == "de" else english
