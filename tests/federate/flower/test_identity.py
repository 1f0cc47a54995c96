"""Certificates that TLS accepts for this machine, and keys that Flower reads; only their owner may read them."""

from __future__ import annotations

import pytest

pytest.importorskip("flwr")

import socket
import ssl
import stat
import threading

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_ssh_private_key, load_ssh_public_key

from harmonia.federate.flower.identity import HOST, Identity


@pytest.fixture(scope="module")
def identity(tmp_path_factory):
    return Identity.make(tmp_path_factory.mktemp("identity"), 2)


def shaken(identity, trusted, name):
    """Return the error of a TLS handshake with a server of this identity, if any."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(identity.certificate, identity.key)
    one, other = socket.socketpair()

    def serve():
        try:
            server.wrap_socket(one, server_side=True).close()
        except (ssl.SSLError, OSError):
            one.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        ssl.create_default_context(cafile=str(trusted)).wrap_socket(other, server_hostname=name).close()
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    finally:
        other.close()
        thread.join()
    return None


@pytest.mark.parametrize("name", [HOST, "localhost"])
def test_the_certificate_holds_for_this_machine(identity, name):
    assert shaken(identity, identity.authority, name) is None


def test_it_holds_for_no_other(identity):
    assert "not valid for 'example.org'" in shaken(identity, identity.authority, "example.org")


def test_another_authority_does_not_vouch_for_it(identity, tmp_path):
    assert shaken(identity, Identity.make(tmp_path, 0).authority, HOST)


def test_every_node_has_a_key_of_its_own(identity):
    keys = [load_ssh_private_key(identity.node_key(client).read_bytes(), None) for client in range(2)]
    public = [load_ssh_public_key(identity.node_key(client).with_suffix(".pub").read_bytes()) for client in range(2)]
    assert all(isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name == "secp384r1" for key in keys)
    numbers = [key.public_numbers() for key in public]
    assert numbers == [key.public_key().public_numbers() for key in keys] and numbers[0] != numbers[1]


def test_files_are_for_their_owner_alone(identity):
    files = list(identity.folder.iterdir())
    assert len(files) == 8
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_the_authoritys_own_key_is_nowhere(identity):
    assert not any("ca" in file.stem and b"PRIVATE" in file.read_bytes() for file in identity.folder.iterdir())
