# SPDX-License-Identifier: Apache-2.0
"""JSON Web Tokens of every algorithm, wrong ones too, and a server of key sets that can be told to
fail. Keys are made once a process."""
import base64
import functools
import hashlib
import hmac
import http.server
import json
import threading
import time

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

ISSUER, AUDIENCE = "https://id.example", "tidings"
SECRET = b"a secret of more than thirty-two bytes, for HS256"
RSA_BITS = 2048


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def base64url_of(number, size):
    return base64url(number.to_bytes(size, "big"))


@functools.lru_cache(maxsize=None)
def private_key(kind, kid):
    """One key for each name, for the whole run: making one of RSA takes a while."""
    del kid
    if kind == "RSA":
        return rsa.generate_private_key(65537, RSA_BITS)
    if kind == "EC":
        return ec.generate_private_key(ec.SECP256R1())
    return ed25519.Ed25519PrivateKey.generate()


KINDS = {"RS256": "RSA", "PS256": "RSA", "ES256": "EC", "EdDSA": "OKP", "HS256": "oct"}


class Key:
    """Signs with one algorithm. Keys of the same `kid` and kind are the same key."""

    def __init__(self, algorithm="ES256", kid="one", secret=SECRET):
        self.algorithm, self.kid, self.secret = algorithm, kid, secret
        self.kind = KINDS[algorithm]
        self.private = None if self.kind == "oct" else private_key(self.kind, kid)

    def sign(self, data):
        if self.algorithm == "HS256":
            return hmac.new(self.secret, data, hashlib.sha256).digest()
        if self.algorithm == "RS256":
            return self.private.sign(data, padding.PKCS1v15(), hashes.SHA256())
        if self.algorithm == "PS256":
            return self.private.sign(data, padding.PSS(padding.MGF1(hashes.SHA256()), 32),
                                     hashes.SHA256())
        if self.algorithm == "EdDSA":
            return self.private.sign(data)
        left, right = utils.decode_dss_signature(self.private.sign(data, ec.ECDSA(hashes.SHA256())))
        return left.to_bytes(32, "big") + right.to_bytes(32, "big")

    def pem(self):
        """The public key, as a file of the configuration has it."""
        return self.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    def private_pem(self):
        return self.private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption())

    def configured_secret(self):
        """`key:` of a row for HS256."""
        return "base64:" + base64.b64encode(self.secret).decode()

    def jwk(self):
        """The public half, but for HS256."""
        row = {"kid": self.kid, "alg": self.algorithm, "use": "sig", "kty": self.kind}
        if self.kind == "oct":
            return {**row, "k": base64url(self.secret)}
        public = self.private.public_key()
        if self.kind == "RSA":
            numbers = public.public_numbers()
            return {**row, "n": base64url_of(numbers.n, RSA_BITS // 8),
                    "e": base64url_of(numbers.e, 3)}
        if self.kind == "EC":
            numbers = public.public_numbers()
            return {**row, "crv": "P-256", "x": base64url_of(numbers.x, 32),
                    "y": base64url_of(numbers.y, 32)}
        raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return {**row, "crv": "Ed25519", "x": base64url(raw)}

    def token(self, subject="alice", *, rights=None, header=None, ttl_s=600, **claims):
        """A token. `rights` is the claim `tidings`; a claim or header field given as None is left
        out."""
        now = int(time.time())
        body = {"iss": ISSUER, "aud": AUDIENCE, "sub": subject, "iat": now, "exp": now + ttl_s,
                "tidings": rights, **claims}
        head = {"alg": self.algorithm, "typ": "JWT", "kid": self.kid, **(header or {})}
        return self.seal(without_none(head), without_none(body))

    def seal(self, head, body):
        """The compact form of any header and body."""
        data = ".".join(base64url(json.dumps(part).encode()) for part in (head, body))
        return data + "." + base64url(self.sign(data.encode()))


def without_none(fields):
    return {name: value for name, value in fields.items() if value is not None}


def unsigned(subject="mallory", rights=None, algorithm="none"):
    """A token that says that it needs no signature."""
    now = int(time.time())
    head = {"alg": algorithm, "typ": "JWT"}
    body = {"iss": ISSUER, "aud": AUDIENCE, "sub": subject, "exp": now + 600, "tidings": rights}
    return ".".join(base64url(json.dumps(part).encode())
                    for part in (head, without_none(body))) + "."


def tampered(token, **claims):
    """The token with other claims under the old signature."""
    head, body, signature = token.split(".")
    text = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
    return ".".join([head, base64url(json.dumps({**json.loads(text), **claims}).encode()),
                     signature])


def signed_with_public_key(key, **options):
    """The old trick: HS256, with the public key of another algorithm as the secret."""
    return Key("HS256", key.kid, key.pem()).token(**options)


def key_set(*keys):
    return json.dumps({"keys": [key.jwk() for key in keys]})


def hash_of(api_key):
    """`hash:` of a row of auth.keys."""
    return "sha256:" + hashlib.sha256(api_key.encode()).hexdigest()


class KeyServer:
    """Serves a key set over HTTP. `mode` is `up`, `down` (503), `garbage`, or `silent`: it takes
    the request and says nothing."""

    def __init__(self, *keys):
        self.keys, self.mode, self.requests = list(keys), "up", 0
        self.released = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.requests += 1
                if outer.mode == "silent":
                    outer.released.wait(30)
                    self.close_connection = True
                    return
                body = b"{ no key set" if outer.mode == "garbage" else \
                    key_set(*outer.keys).encode()
                self.send_response(503 if outer.mode == "down" else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/keys.json"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.released.set()
        self.server.shutdown()
        self.thread.join(10)
        self.server.server_close()
