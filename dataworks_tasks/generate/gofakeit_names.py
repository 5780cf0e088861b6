"""gofakeit's method names, as mgodatagen templates use them, and Faker's twins."""

from __future__ import annotations

_TWINS = """
name=name nameprefix=prefix namesuffix=suffix firstname=first_name lastname=last_name
gender=passport_gender ssn=ssn email=email phone=basic_phone_number phoneformatted=phone_number
username=user_name password=password company=company companysuffix=company_suffix bs=bs
buzzword=catch_phrase jobtitle=job job=job street=street_address streetname=street_name
streetnumber=building_number streetsuffix=street_suffix city=city state=state
stateabr=state_abbr zip=postcode country=country countryabr=country_code latitude=latitude
longitude=longitude url=url domainname=domain_name domainsuffix=tld ipv4address=ipv4
ipv6address=ipv6 macaddress=mac_address useragent=user_agent chromeuseragent=chrome
firefoxuseragent=firefox operauseragent=opera safariuseragent=safari httpmethod=http_method
imageurl=image_url uuid=uuid4 color=color_name safecolor=safe_color_name hexcolor=hex_color
rgbcolor=rgb_color creditcardnumber=credit_card_number creditcardtype=credit_card_provider
creditcardexp=credit_card_expire creditcardcvv=credit_card_security_code
currencyshort=currency_code currencylong=currency_name word=word sentence=sentence
paragraph=paragraph question=sentence quote=sentence letter=random_letter digit=random_digit
bool=boolean month=month monthstring=month_name weekday=day_of_week year=year
timezone=timezone date=date_time fileextension=file_extension mimetype=mime_type
filemimetype=mime_type loglevel=http_status_code isbn=isbn13 emoji=emoji address=address
int8=random_digit uint8=random_digit phonenumber=phone_number
"""

FAKER_METHODS = dict(pair.split("=") for pair in _TWINS.split() if not pair.startswith("loglevel"))
"""gofakeit name in lower case without underscores -> Faker method."""

_ENUM = "use the type enum with the values you want"
UNMAPPED: dict[str, str] = {
    **dict.fromkeys(
        (
            "beername", "beerstyle", "beerhop", "beermalt", "beeryeast", "beeralcohol", "beeribu",
            "beerblg", "carmaker", "carmodel", "cartype", "carfueltype", "cartransmissiontype",
            "vehicletype", "hackerphrase", "hackerabbreviation", "hackeradjective", "hackernoun",
            "hackerverb", "hackeringverb", "hipsterword", "hipstersentence", "hipsterparagraph",
            "programminglanguage", "programminglanguagebest", "buzzwords", "joblevel",
            "jobdescriptor", "appname", "appversion", "appauthor", "animal", "animaltype", "cat",
            "dog", "petname", "farmanimal", "fruit", "vegetable", "breakfast", "lunch", "dinner",
            "dessert", "snack", "gamertag", "loglevel", "simplestatuscode", "statuscode",
            "preposition", "adverb", "noun", "verb", "adjective", "phrase", "minecraftfood",
        ),
        _ENUM,
    ),
    **dict.fromkeys(
        ("number", "int16", "int32", "int64", "uint16", "uint32", "uint64", "digitn"),
        "use the types int or long with min and max",
    ),
    **dict.fromkeys(
        ("float32", "float32range", "float64", "float64range", "price"),
        "use the type double with min, max and decimals",
    ),
    **dict.fromkeys(
        ("latitudeinrange", "longitudeinrange"), "use the type coordinates with bbox"
    ),
    **dict.fromkeys(
        ("numerify", "lexify", "regex", "generate", "achaccount", "achrouting", "bitcoinaddress"),
        "use the type pattern",
    ),
    **dict.fromkeys(
        ("daterange", "second", "minute", "hour", "day", "nanosecond", "pastdate", "futuredate"),
        "use the type date",
    ),
    **dict.fromkeys(("vin",), "use the type vin"),
}  # fmt: skip
"""gofakeit name -> what to use instead, where Faker has no twin."""
