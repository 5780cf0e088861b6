"""Methods of faker-js and Faker's names for them, for people who know faker-js."""

from __future__ import annotations

_TWINS = """
person.firstname=first_name person.lastname=last_name person.fullname=name person.prefix=prefix
person.suffix=suffix person.jobtitle=job person.gender=Gender name.firstname=first_name
name.lastname=last_name name.fullname=name name.findname=name name.jobtitle=job
internet.email=email internet.exampleemail=safe_email internet.username=user_name
internet.displayname=user_name internet.password=password internet.url=url
internet.domainname=domain_name internet.domainword=domain_word internet.domainsuffix=tld
internet.ip=ipv4 internet.ipv4=ipv4 internet.ipv6=ipv6 internet.mac=mac_address
internet.useragent=user_agent internet.color=hex_color internet.emoji=emoji
internet.httpmethod=http_method internet.port=port_number
phone.number=phone_number phone.phonenumber=phone_number
location.city=city location.country=country location.countrycode=country_code
location.state=state location.street=street_name location.streetaddress=street_address
location.buildingnumber=building_number location.secondaryaddress=secondary_address
location.zipcode=postcode location.latitude=latitude location.longitude=longitude
location.timezone=timezone address.city=city address.country=country address.state=state
address.streetaddress=street_address address.streetname=street_name address.zipcode=postcode
address.zip=postcode address.countrycode=country_code address.latitude=latitude
address.longitude=longitude
company.name=company company.companyname=company company.catchphrase=catch_phrase
company.buzzphrase=bs company.bs=bs
lorem.word=word lorem.words=words lorem.sentence=sentence lorem.sentences=sentences
lorem.paragraph=paragraph lorem.paragraphs=paragraphs lorem.text=text lorem.slug=slug
finance.iban=iban finance.bic=swift finance.creditcardnumber=credit_card_number
finance.creditcardcvv=credit_card_security_code finance.currencycode=currency_code
finance.currencyname=currency_name finance.bitcoinaddress=BitcoinAddress
commerce.productname=catch_phrase commerce.isbn=isbn13
color.human=color_name color.rgb=rgb_color system.filename=file_name
system.fileext=file_extension system.mimetype=mime_type system.filepath=file_path
git.commitsha=sha1 string.uuid=uuid4 datatype.uuid=uuid4 datatype.boolean=boolean
vehicle.manufacturer=CarMaker vehicle.model=CarModel vehicle.fuel=CarFuelType
vehicle.type=CarType vehicle.vrm=license_plate
animal.type=AnimalType animal.dog=Dog animal.cat=Cat hacker.phrase=HackerPhrase
hacker.noun=HackerNoun hacker.verb=HackerVerb hacker.adjective=HackerAdjective
"""
_TYPES = {
    "date": "the type date", "number.int": "the types int and long", "number.float":
    "the type double", "datatype.number": "the types int and long", "string.alpha":
    "the types string and pattern", "string.alphanumeric": "the types string and pattern",
    "helpers.arrayelement": "the type enum", "helpers.weightedarrayelement":
    "the type enum with weights", "string.nanoid": "the type string", "vehicle.vin":
    "the type vin", "commerce.price": "the type double with decimals",
    "finance.amount": "the type decimal", "database.mongodbobjectid": "the type objectId",
}  # fmt: skip
_METHODS = dict(pair.split("=") for pair in _TWINS.split())


def faker_js_advice(written: str) -> str:
    """Return what to write instead of a faker-js method; empty for any other name."""
    name = written.removeprefix("faker.").removesuffix("()").replace("_", "").lower()
    module, dot, _ = name.partition(".")
    if not dot:
        return ""
    if name in _METHODS:
        return f"{written!r} is a faker-js name; here it is {_METHODS[name]!r}"
    advice = _TYPES.get(name) or _TYPES.get(module)
    return f"{written!r} is a faker-js name; use {advice}" if advice else ""
