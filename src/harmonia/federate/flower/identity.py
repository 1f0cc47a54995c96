"""Certificates for TLS on this machine, and the keys by which nodes are known; made here, for one deployment."""

from __future__ import annotations

import datetime
import ipaddress
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from harmonia.core.files import atomic

HOST = "127.0.0.1"
DAYS = 30


@dataclass(frozen=True)
class Identity:
    """Files of a deployment's certificates and keys.

    Attributes:
        folder: of the files; only its owner may read the private ones.
    """

    folder: Path

    @property
    def authority(self) -> Path:
        """Certificate by which the others are known."""
        return self.folder / "ca.crt"

    @property
    def certificate(self) -> Path:
        """Of every server on this machine."""
        return self.folder / "server.crt"

    @property
    def key(self) -> Path:
        """Private key of the certificate."""
        return self.folder / "server.key"

    @property
    def secret(self) -> Path:
        """What the SuperLink and the process that runs its apps share."""
        return self.folder / "superexec.secret"

    def node_key(self, client: int) -> Path:
        """Private key of a client's node; the public one ends in ``.pub``."""
        return self.folder / f"node-{client}"

    @classmethod
    def make(cls, folder: Path, clients: int) -> Identity:
        """Make an authority, a certificate for this machine, and a key for every node.

        The authority's own key is not written anywhere, so nothing more can be signed by it.
        """
        made = cls(folder)
        authority, server = (ec.generate_private_key(ec.SECP384R1()) for _ in range(2))
        name = _name("harmonia federation")
        root = _certificate(name, name, authority, authority, authority=True)
        leaf = _certificate(_name("localhost"), name, server, authority, authority=False)
        _write(made.authority, root.public_bytes(serialization.Encoding.PEM))
        _write(made.certificate, leaf.public_bytes(serialization.Encoding.PEM))
        _write(made.key, _private(server, serialization.PrivateFormat.PKCS8))
        _write(made.secret, secrets.token_hex(32).encode())
        for client in range(clients):
            key, place = ec.generate_private_key(ec.SECP384R1()), made.node_key(client)
            _write(place, _private(key, serialization.PrivateFormat.OpenSSH))
            public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
            _write(place.with_suffix(".pub"), public)
        return made


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    *,
    authority: bool,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=DAYS))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=0 if authority else None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(identifier, critical=False)
        .add_extension(_usage(authority), critical=True)
    )
    if not authority:
        names: list[x509.GeneralName] = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address(HOST))]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(signer, hashes.SHA384())


def _usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _private(key: ec.EllipticCurvePrivateKey, layout: serialization.PrivateFormat) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, layout, serialization.NoEncryption())


def _write(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read."""
    with atomic(path) as temporary:
        os.close(os.open(temporary, os.O_CREAT | os.O_WRONLY, 0o600))
        temporary.write_bytes(content)
