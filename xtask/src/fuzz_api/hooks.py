"""What schemathesis cannot know of the shop: who calls, which values are real, which refusals are right.

Nothing here switches a check off. A file a question: `callers` signs requests, `real` puts real values in place of
made-up ones in requests that are meant to be good, `refusals` knows the answers that depend on the shop's state.
"""

import atexit
import json
import os
import sys
from collections import Counter, defaultdict

import schemathesis
from hypothesis import strategies

sys.path.insert(0, os.path.dirname(__file__))

import callers  # noqa: E402
import real  # noqa: E402
import refusals  # noqa: E402

# The coverage phase makes headers of letters and digits only. It has no good value for a header that wants quotes,
# sends '' and calls the request good; a format of our own gives it good ones.
ENTITY_TAGS = "entity-tags"
schemathesis.openapi.format(
    ENTITY_TAGS, strategies.from_regex(r'\*|(W/)?"[0-9]{1,2}"(, "[!#-~]{0,4}")?', fullmatch=True)
)

schemathesis.auth(refresh_interval=None)(callers.Callers)


@schemathesis.hook
def before_load_schema(context, raw_schema):
    for item in raw_schema["paths"].values():
        for operation in item.values():
            for parameter in operation.get("parameters", ()):
                if parameter["name"] in ("If-Match", "If-None-Match"):
                    parameter["schema"]["format"] = ENTITY_TAGS


@schemathesis.hook
def before_call(context, case, kwargs):
    callers.spare_the_admin(case)
    real.time_to_answer(case)
    real.own_key(case)
    if case.meta is not None and case.meta.generation.mode.is_positive:
        callers.know_the_password(case)
        real.put_in(case)


@schemathesis.hook
def after_call(context, case, response):
    Counts.add(case, response)
    callers.notice(case, response)
    real.notice(case, response)


@schemathesis.hook
def filter_failure(context, failure, case, response):
    return not refusals.is_right(failure, response)


class Counts:
    """What was sent in each phase and how it was answered, for the report of `cargo xtask fuzz-api`."""

    path = os.environ["SHOP_FUZZ_COUNTS"]
    phases = defaultdict(Counter)

    @classmethod
    def add(cls, case, response):
        phase = case.meta.phase.name.value if case.meta is not None else "probes"
        cls.phases[phase][f"{response.status_code // 100}xx"] += 1

    @classmethod
    def write(cls):
        with open(cls.path, "w", encoding="utf-8") as file:
            json.dump(cls.phases, file)


atexit.register(Counts.write)
