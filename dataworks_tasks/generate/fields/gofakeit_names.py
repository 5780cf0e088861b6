"""gofakeit's method names, as mgodatagen templates use them, and Faker's that cannot be called.

A name is looked up in lower case and without underscores.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

_TWINS = """
name=name nameprefix=prefix namesuffix=suffix firstname=first_name lastname=last_name
ssn=ssn email=email freeemail=free_email safeemail=safe_email phone=basic_phone_number
phoneformatted=phone_number phonenumber=phone_number cellphonenumber=phone_number
username=user_name password=password company=company companyname=company
companysuffix=company_suffix bs=bs companybs=bs
buzzword=catch_phrase companycatchphrase=catch_phrase jobtitle=job job=job
street=street_address streetaddress=street_address secondaryaddress=secondary_address
streetname=street_name streetnumber=building_number streetsuffix=street_suffix
city=city cityprefix=city_prefix citysuffix=city_suffix state=state
stateabr=state_abbr stateabbr=state_abbr zip=postcode postcode=postcode country=country
countryabr=country_code latitude=latitude
longitude=longitude url=url domainname=domain_name domainsuffix=tld domainword=domain_word
ipv4address=ipv4
ipv6address=ipv6 macaddress=mac_address useragent=user_agent chromeuseragent=chrome
firefoxuseragent=firefox operauseragent=opera safariuseragent=safari httpmethod=http_method
imageurl=image_url uuid=uuid4 color=color_name safecolor=safe_color_name hexcolor=hex_color
rgbcolor=rgb_color creditcardnumber=credit_card_number creditcardtype=credit_card_provider
creditcardcvv=credit_card_security_code
currencyshort=currency_code currencylong=currency_name word=word sentence=sentence
hipstersentence=sentence paragraph=paragraph hipsterparagraph=paragraph question=sentence
quote=sentence letter=random_letter digit=random_digit bool=boolean
timezone=timezone fileextension=file_extension mimetype=mime_type
filemimetype=mime_type isbn=isbn13 emoji=emoji address=address
extension=file_extension mehtodstreet=street_address
"""

FAKER_METHODS = dict(pair.split("=") for pair in _TWINS.split())
"""gofakeit name in lower case without underscores -> Faker method."""

_OLD_NAMES = {"fueltype": "carfueltype", "transmissiongeartype": "cartransmissiontype"}
"""Old names of mgodatagen, which it still accepts."""

_BY_ADVICE = {
    "use the types int or long with min and max": "numberrange intrange uintrange randomint",
    "use the type double with min, max and decimals": "float32range float64range",
    "use the type coordinates with bbox": "latitudeinrange longitudeinrange",
    "use the type pattern": "digitn lettern generate lexify numerify regex template",
    "use the type date with startDate and endDate": "daterange",
    "use the type enum with the values you want": "randomstring shufflestrings weighted",
}
UNMAPPED = {name: advice for advice, names in _BY_ADVICE.items() for name in names.split()}
"""gofakeit name -> what to use instead, where the method needs arguments of its own."""


@cache
def replaced_methods() -> Mapping[str, Any]:
    """Method's name -> the field of our language that replaces it.

    These are methods of gofakeit that Faker lacks, and Faker's own that read the clock: a run must
    be reproducible, so for them it is always 2025-01-01.
    """
    text = files("dataworks_tasks.generate.fields").joinpath("replaced_methods.json")
    columns = json.loads(text.read_text(encoding="utf-8"))
    columns |= {old: columns[name] for old, name in _OLD_NAMES.items()}
    return {name: _column(value) for name, value in columns.items()}


def _column(value: Any) -> Any:
    """Expand a list of words, which is short for a random one of them."""
    if isinstance(value, list):
        return {"type": "enum", "values": value, "randomOrder": True}
    return value


def plain_name(written: str) -> str:
    """Return the name as the tables spell it."""
    return written.lower().replace("_", "")
