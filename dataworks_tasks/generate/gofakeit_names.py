"""gofakeit's method names, as mgodatagen templates use them, and Faker's twins."""

from __future__ import annotations

_TWINS = """
name=name nameprefix=prefix namesuffix=suffix firstname=first_name lastname=last_name
ssn=ssn email=email phone=basic_phone_number phoneformatted=phone_number
username=user_name password=password company=company companysuffix=company_suffix bs=bs
buzzword=catch_phrase jobtitle=job job=job street=street_address streetname=street_name
streetnumber=building_number streetsuffix=street_suffix city=city state=state
stateabr=state_abbr zip=postcode country=country countryabr=country_code latitude=latitude
longitude=longitude url=url domainname=domain_name domainsuffix=tld ipv4address=ipv4
ipv6address=ipv6 macaddress=mac_address useragent=user_agent chromeuseragent=chrome
firefoxuseragent=firefox operauseragent=opera safariuseragent=safari httpmethod=http_method
imageurl=image_url uuid=uuid4 color=color_name safecolor=safe_color_name hexcolor=hex_color
rgbcolor=rgb_color creditcardnumber=credit_card_number creditcardtype=credit_card_provider
creditcardcvv=credit_card_security_code
currencyshort=currency_code currencylong=currency_name word=word sentence=sentence
paragraph=paragraph question=sentence quote=sentence letter=random_letter digit=random_digit
bool=boolean
timezone=timezone fileextension=file_extension mimetype=mime_type
filemimetype=mime_type isbn=isbn13 emoji=emoji address=address
int8=random_digit uint8=random_digit phonenumber=phone_number
"""

FAKER_METHODS = dict(pair.split("=") for pair in _TWINS.split())
"""gofakeit name in lower case without underscores -> Faker method."""

_ENUM = "use the type enum with the values you want"
_BY_ADVICE = {
    _ENUM: """
        adjective adverb animal animaltype appauthor appname appversion beeralcohol beerblg beerhop
        beeribu beermalt beername beerstyle beeryeast breakfast buzzwords carfueltype carmaker
        carmodel cartransmissiontype cartype cat dessert dinner dog farmanimal fruit gamertag gender
        hackeradjective hackerabbreviation hackeringverb hackernoun hackerphrase hackerverb
        hipsterparagraph hipstersentence hipsterword jobdescriptor joblevel loglevel lunch
        minecraftfood month monthstring noun petname phrase preposition programminglanguage
        programminglanguagebest simplestatuscode snack statuscode vegetable vehicletype verb
        weekday year
    """,
    "use the types int or long with min and max": """
        digitn int16 int32 int64 number uint16 uint32 uint64
    """,
    "use the type double with min, max and decimals": """
        float32 float32range float64 float64range price
    """,
    "use the type coordinates with bbox": "latitudeinrange longitudeinrange",
    "use the type pattern": """
        achaccount achrouting bitcoinaddress creditcardexp generate lexify numerify regex
    """,
    "use the type date": """
        date daterange day futuredate hour minute nanosecond pastdate second
    """,
    "use the type vin": "vin",
}
UNMAPPED = {name: advice for advice, names in _BY_ADVICE.items() for name in names.split()}
"""gofakeit name -> what to use instead, where Faker has no twin."""
