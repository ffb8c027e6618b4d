"""What presidio finds: texts as JSON strings, a line each, from stdin; lists of [start, stop, kind] to stdout.

Run by an interpreter that has presidio-analyzer and spaCy; knows nothing of Siku. Only recognizers of shapes are asked,
with an empty English pipeline, and nothing is fetched.
"""

import json
import sys

import presidio_analyzer.predefined_recognizers as known
import spacy
import tldextract
from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
from presidio_analyzer.nlp_engine import SpacyNlpEngine

tldextract.extract = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)  # its list of suffixes is fetched


class Blank(SpacyNlpEngine):
    """English words without a model."""

    def load(self) -> None:
        """Nothing to load."""
        self.nlp = {"en": spacy.blank("en")}


KINDS = {
    "EMAIL_ADDRESS": "email",
    "PHONE_NUMBER": "phone",
    "CREDIT_CARD": "bank_card",
    "IBAN_CODE": "iban",
    "US_SSN": "ssn",
    "IP_ADDRESS": "ip_address",
    "MAC_ADDRESS": "mac_address",
    "US_PASSPORT": "passport",
}
NAMES = ("Email", "CreditCard", "Iban", "UsSsn", "Ip", "MacAddress", "UsPassport")
RECOGNIZERS = [getattr(known, f"{name}Recognizer")() for name in NAMES]
RECOGNIZERS.append(known.PhoneRecognizer(supported_regions=("US", "GB", "CN", "HK", "TW")))
REGISTRY = RecognizerRegistry(recognizers=RECOGNIZERS, supported_languages=["en"])
ENGINE = AnalyzerEngine(registry=REGISTRY, nlp_engine=Blank(), supported_languages=["en"])

for line in sys.stdin:
    found = ENGINE.analyze(json.loads(line), language="en")
    print(json.dumps([[each.start, each.end, KINDS[each.entity_type]] for each in found]))
