"""How schemathesis signs its requests: as the shop's admin, logged in again whenever a request ended the session."""

import os

import requests
import schemathesis

# What these end is a session: they get one of their own, so that the shared one lives on.
ENDS_A_SESSION = ("/auth/logout", "/auth/password", "/auth/sessions/")
LOGIN_SECONDS_MAX = 30


def log_in():
    body = {"login": "admin", "password": os.environ["SHOP_ADMIN_PASSWORD"]}
    url = os.environ["SHOP_URL"] + "/api/v1/auth/login"
    answer = requests.post(url, json=body, timeout=LOGIN_SECONDS_MAX)
    answer.raise_for_status()
    tokens = answer.json()
    return tokens.get("data", tokens)["access_token"]


class Session:
    """The token that ordinary requests share."""

    token = None

    @classmethod
    def current(cls):
        if cls.token is None:
            cls.token = log_in()
        return cls.token


@schemathesis.auth(refresh_interval=None)
class Admin:
    def get(self, case, context):
        ends = any(part in case.operation.path for part in ENDS_A_SESSION)
        return log_in() if ends else Session.current()

    def set(self, case, data, context):
        case.headers = case.headers or {}
        case.headers["Authorization"] = f"Bearer {data}"


@schemathesis.hook
def after_call(context, case, response):
    """The shared token expired or was revoked: the next request gets a new one."""
    sent = response.request.headers.get("Authorization")
    if response.status_code == 401 and sent == f"Bearer {Session.token}":
        Session.token = None
