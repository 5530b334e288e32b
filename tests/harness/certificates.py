# SPDX-License-Identifier: Apache-2.0
"""Certificates by the openssl command: an authority, servers, clients; made once a run."""
import datetime
import functools
import pathlib
import ssl
import subprocess
import tempfile

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

NAME = "broker.example"


def openssl(*arguments, **options):
    return subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True,
                          **options).stdout


class Authority:
    """Signs certificates into its folder; each is a pair of paths, (certificate, key)."""

    def __init__(self, folder, name="Example CA"):
        self.folder = pathlib.Path(folder)
        self.slug = name.lower().replace(" ", "-")
        self.certificate, self.key = self.folder / f"{self.slug}.pem", self.folder / \
            f"{self.slug}.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                "-nodes", "-days", "7", "-subj", f"/CN={name}", "-keyout", self.key, "-out",
                self.certificate)

    def issue(self, slug, subject, alternatives="", days=7):
        """A certificate of `subject` ("/O=Example/CN=device-7"), whose files have `slug` in their
        names, and the authority: another one may issue it too, and all share the folder."""
        slug = f"{slug}-of-{self.slug}"
        certificate, key = self.folder / f"{slug}.pem", self.folder / f"{slug}.key"
        request, extensions = self.folder / f"{slug}.csr", self.folder / f"{slug}.ext"
        extensions.write_text("basicConstraints=CA:FALSE\n" +
                              (f"subjectAltName={alternatives}\n" if alternatives else ""),
                              encoding="ascii")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-subj", subject, "-keyout", key, "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key,
                "-CAcreateserial", "-days", days, "-extfile", extensions, "-out", certificate)
        return certificate, key

    def server(self, slug="server"):
        return self.issue(slug, f"/CN={NAME}", f"DNS:{NAME},DNS:localhost,IP:127.0.0.1")

    def client(self, name, organisation="Example"):
        return self.issue(name, f"/O={organisation}/CN={name}")


@functools.lru_cache(maxsize=None)
def scratch():
    return tempfile.TemporaryDirectory(prefix="tidings-certificates-")


@functools.lru_cache(maxsize=None)
def make_authority(name):
    return Authority(scratch().name, name)


def authority(name="Example CA"):
    """The one of that name, for the whole run."""
    return make_authority(name)


@functools.lru_cache(maxsize=None)
def server_pair():
    return authority().server()


@functools.lru_cache(maxsize=None)
def client_pair(name, signer="Example CA"):
    return authority(signer).client(name)


def brief_client_pair(name, lasts_s, signer="Example CA"):
    """Of a certificate that ends so soon; the openssl command counts days."""
    pair = authority(signer).client(name)
    long = x509.load_pem_x509_certificate(pair[0].read_bytes())
    key = serialization.load_pem_private_key(authority(signer).key.read_bytes(), None)
    ends = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=lasts_s)
    brief = x509.CertificateBuilder(
        issuer_name=long.issuer, subject_name=long.subject, public_key=long.public_key(),
        serial_number=long.serial_number, not_valid_before=long.not_valid_before,
        not_valid_after=ends, extensions=list(long.extensions)).sign(key, hashes.SHA256())
    pair[0].write_bytes(brief.public_bytes(serialization.Encoding.PEM))
    return pair


def client_context(pair=None, signer="Example CA", version=None):
    """What a client uses that trusts the authority and shows the certificate `pair`."""
    context = ssl.create_default_context(cafile=str(authority(signer).certificate))
    if pair is not None:
        context.load_cert_chain(str(pair[0]), str(pair[1]))
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context
