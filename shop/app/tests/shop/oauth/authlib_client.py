"""Authlib against the shop: what an honest client does, and what a dishonest one is refused."""

import html.parser
import os
import secrets
import urllib.parse

import requests
from authlib.common.security import generate_token
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from authlib.oidc.discovery import OpenIDProviderMetadata, get_well_known_url
from joserfc import jwt
from joserfc.jwk import KeySet

ISSUER = os.environ["ISSUER"]
DONE = "https://app.example/done"
SCOPE = "openid profile email offline_access shop"


class Form(html.parser.HTMLParser):
    """The named fields of the page's form."""

    def __init__(self, page):
        super().__init__()
        self.fields = {}
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "input" and "name" in attributes:
            self.fields[attributes["name"]] = attributes.get("value", "")


def browse(url, decision="allow"):
    """Signs in as a person with a browser would; where the browser is sent."""
    browser = requests.Session()
    page = browser.get(url)
    assert page.status_code == 200, page.text
    fields = Form(page.text).fields
    fields |= {"login": os.environ["LOGIN"], "password": os.environ["PASSWORD"], "decision": decision}
    action = urllib.parse.urljoin(ISSUER, "/oauth2/authorize")
    sent = browser.post(action, data=fields, allow_redirects=False)
    assert sent.status_code == 303, sent.text
    return sent.headers["location"]


def refused(error, attempt):
    try:
        attempt()
    except OAuthError as refusal:
        assert refusal.error == error, f"{refusal.error}, not {error}"
        return
    raise AssertionError(f"not refused with {error}")


def sign_in(session, metadata):
    """Code with PKCE, state, nonce and iss, all checked; tokens and the nonce."""
    verifier, nonce = generate_token(64), secrets.token_urlsafe(16)
    url, state = session.create_authorization_url(
        metadata["authorization_endpoint"], code_verifier=verifier, nonce=nonce
    )
    answer = browse(url)
    told = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(answer).query))
    assert told["iss"] == metadata["issuer"], told
    tokens = session.fetch_token(
        metadata["token_endpoint"], authorization_response=answer, state=state, code_verifier=verifier
    )
    return tokens, nonce, answer, state, verifier


def discover():
    answer = requests.get(get_well_known_url(ISSUER, external=True))
    metadata = OpenIDProviderMetadata(answer.json())
    # All that Authlib checks but one thing: it wants RS256, which OAuth 2.1 does not.
    for name in OpenIDProviderMetadata.REGISTRY_KEYS:
        if name != "id_token_signing_alg_values_supported":
            getattr(metadata, f"validate_{name}", lambda: None)()
    assert metadata["issuer"] == ISSUER
    return metadata


def main():
    metadata = discover()
    print("ok: discovery")
    token_endpoint = metadata["token_endpoint"]

    robot_id, robot_secret = os.environ["ROBOT"].split(":")
    for method in ["client_secret_basic", "client_secret_post"]:
        robot = OAuth2Session(robot_id, robot_secret, token_endpoint_auth_method=method, scope="order:read")
        token = robot.fetch_token(token_endpoint, grant_type="client_credentials")
        assert token["token_type"] == "Bearer" and token["scope"] == "order:read", token
        assert robot.get(f"{ISSUER}/api/v1/orders").status_code == 200
        assert robot.get(f"{ISSUER}/api/v1/users").status_code == 403
    print("ok: client credentials")

    client_id, secret = os.environ["CONFIDENTIAL"].split(":")
    options = {"scope": SCOPE, "redirect_uri": DONE, "code_challenge_method": "S256"}
    confidential = OAuth2Session(client_id, secret, **options)
    public = OAuth2Session(os.environ["PUBLIC"], token_endpoint_auth_method="none", **options)
    for session in [public, confidential]:
        tokens, nonce, answer, state, verifier = sign_in(session, metadata)
        assert set(tokens["scope"].split()) == set(SCOPE.split()), tokens
    print("ok: code with PKCE")

    keys = KeySet.import_key_set(requests.get(metadata["jwks_uri"]).json())
    algorithms = metadata["id_token_signing_alg_values_supported"]
    id_token = jwt.decode(tokens["id_token"], keys, algorithms=algorithms)
    assert id_token.header["typ"] == "JWT", id_token.header
    claims = CodeIDToken(
        id_token.claims,
        id_token.header,
        {"iss": {"essential": True, "value": ISSUER}, "aud": {"essential": True, "value": client_id}},
        {"nonce": nonce, "client_id": client_id},
    )
    claims.validate(leeway=0)
    print("ok: ID token")

    info = confidential.get(metadata["userinfo_endpoint"]).json()
    assert info["sub"] == claims["sub"] and info["email"] and info["preferred_username"] == os.environ["LOGIN"], info
    print("ok: userinfo")

    def active(session, token):
        told = session.introspect_token(metadata["introspection_endpoint"], token=token)
        return told.json()["active"]

    assert active(confidential, tokens["access_token"]) and active(confidential, tokens["refresh_token"])
    assert not active(robot, tokens["access_token"]) and not active(confidential, "rt_unknown")
    print("ok: introspection")

    before = tokens["refresh_token"]
    tokens = confidential.refresh_token(token_endpoint, refresh_token=before)
    assert tokens["refresh_token"] != before and active(confidential, tokens["access_token"])
    print("ok: refresh")

    gone = confidential.revoke_token(metadata["revocation_endpoint"], token=tokens["refresh_token"])
    assert gone.status_code == 200
    assert not active(confidential, tokens["access_token"]) and not active(confidential, tokens["refresh_token"])
    unknown = confidential.revoke_token(metadata["revocation_endpoint"], token="x")
    assert unknown.status_code == 200
    print("ok: revocation")

    refusals(metadata, public, confidential)
    print("ok: refusals")


def refusals(metadata, public, confidential):
    token_endpoint = metadata["token_endpoint"]
    tokens, _, answer, state, verifier = sign_in(public, metadata)
    again = {"authorization_response": answer, "state": state}
    # A replay, which ends the session that the code became.
    refused("invalid_grant", lambda: public.fetch_token(token_endpoint, code_verifier=verifier, **again))
    refused("invalid_grant", lambda: public.refresh_token(token_endpoint, refresh_token=tokens["refresh_token"]))

    def fresh(session):
        verifier = generate_token(64)
        url, state = session.create_authorization_url(metadata["authorization_endpoint"], code_verifier=verifier)
        return {"authorization_response": browse(url), "state": state}, verifier

    # PKCE: none at redemption, another one, the challenge itself.
    response, verifier = fresh(public)
    refused("invalid_request", lambda: public.fetch_token(token_endpoint, **response))
    for other in [generate_token(64), create_s256_code_challenge(verifier)]:
        refused("invalid_grant", lambda: public.fetch_token(token_endpoint, code_verifier=other, **response))
    # A mix-up: one client's code at another.
    refused("invalid_grant", lambda: confidential.fetch_token(token_endpoint, code_verifier=verifier, **response))
    public.fetch_token(token_endpoint, code_verifier=verifier, **response)

    # The implicit flow, plain PKCE and no PKCE are sent back with an error; the user's no likewise.
    def asked(**changes):
        session = OAuth2Session(os.environ["PUBLIC"], token_endpoint_auth_method="none", scope=SCOPE, redirect_uri=DONE)
        url, _ = session.create_authorization_url(metadata["authorization_endpoint"], **changes)
        sent = requests.get(url, allow_redirects=False)
        return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(sent.headers["location"]).query))["error"]

    challenge = {"code_challenge": "a" * 43, "code_challenge_method": "plain"}
    assert asked(response_type="token") == "unsupported_response_type"
    assert asked() == "invalid_request" and asked(**challenge) == "invalid_request"
    url, state = public.create_authorization_url(metadata["authorization_endpoint"], code_verifier=verifier)
    denied = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(browse(url, decision="deny")).query))
    assert denied["error"] == "access_denied" and denied["state"] == state and "code" not in denied, denied
    # A secret that is wrong.
    impostor = OAuth2Session(confidential.client_id, "cs_" + "A" * 43)
    refused("invalid_client", lambda: impostor.fetch_token(token_endpoint, grant_type="client_credentials"))


if __name__ == "__main__":
    main()
