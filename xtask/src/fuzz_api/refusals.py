"""Refusals of good requests that are right, because they depend on what the shop holds at that moment.

A JSON Schema tells how a request looks. It cannot tell which products there are, what of a payment is left, or how
two fields go together. Only `positive_data_acceptance` is answered for, only by these codes and reasons, each with
why no schema can say it. Every other check, and every other refusal, counts.
"""

import re

CHECKED = "RejectedPositiveData"

# The request as a whole is refused.
CODES = {
    "PRECONDITION_FAILED": "If-Match named a version that the thing does not have",
    "IDEMPOTENCY_KEY_REUSED": "the key was used before, with another body",
    "STOCK_LIMIT": "with what is there already it would be too much",
}

# A field is refused: the reasons that depend on the store or on other fields.
REASONS = {
    r"is not a product on offer": "products come and go",
    r"its currency is not that of the first item": "the products' prices, compared",
    r"the order becomes too expensive": "the products' prices, added",
    r"the quantity must be 1 to \d+": "a product that is named twice: the sum",
    r"must be at most \d+, which is left": "what is left of the payment",
    r"must be the payment's currency": "the payment's currency",
    r"page × limit must not exceed \d+; .*": "two parameters, multiplied",
}


def is_right(failure, response):
    if type(failure).__name__ != CHECKED:
        return False
    try:
        error = response.json()["error"]
    except (ValueError, KeyError, TypeError):
        return False
    reasons = told(error)
    return error["code"] in CODES or bool(reasons) and all(map(is_known, reasons))


def told(error):
    """The reasons of 422 `VALIDATION_FAILED` and of 400 `INVALID_PARAMETER`."""
    details = error.get("details", {})
    match error["code"]:
        case "VALIDATION_FAILED":
            return [reason for reasons in details.get("fields", {}).values() for reason in reasons]
        case "INVALID_PARAMETER":
            return [details.get("reason", "")]
        case _:
            return []


def is_known(reason):
    return any(re.fullmatch(pattern, reason) for pattern in REASONS)
