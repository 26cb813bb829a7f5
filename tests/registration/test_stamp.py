"""Time stamps of an authority made here, and commits of a repository made here, against openssl and git."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from milkreport.errors import ConfigError, DataError, EnvironmentProblem
from milkreport.registration.record import COMMIT, TOKEN
from milkreport.registration.stamp import MOST_TOKEN, check_stamp, read_commit

needs_openssl = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")
needs_git = pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
DIGEST = hashlib.sha256(b"registration").hexdigest()

CONFIGURATION = """
[one]
serial = serial
signer_cert = tsa.pem
signer_key = tsa.key
certs = ca.pem
default_policy = 1.2.3.4.1
digests = sha256, sha512
signer_digest = sha256
tsa_name = yes
ess_cert_id_chain = no
ess_cert_id_alg = sha256
[ext]
extendedKeyUsage = critical,timeStamping
"""


def openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True, timeout=60)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root certificate ``ca.pem`` and an authority that it signed."""
    folder = tmp_path_factory.mktemp("authority")
    (folder / "tsa.cnf").write_text(CONFIGURATION)
    (folder / "serial").write_text("01\n")
    new = ("-newkey", "rsa:2048", "-nodes", "-subj")
    for name in ("ca", "other"):
        subject = f"/CN=Root {name}"
        out = ("-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", "30")
        openssl(folder, "req", "-x509", *new, subject, *out)
    openssl(folder, "req", *new, "/CN=Authority", "-keyout", "tsa.key", "-out", "tsa.csr")
    sign = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30")
    extension = ("-extfile", "tsa.cnf", "-extensions", "ext")
    openssl(folder, "x509", "-req", "-in", "tsa.csr", *sign, *extension, "-out", "tsa.pem")
    return folder


def stamp(authority: Path, digest: str, name: str, algorithm: str = "-sha256") -> Path:
    """What a user does with openssl and curl, with the authority at hand."""
    openssl(authority, "ts", "-query", "-digest", digest, algorithm, "-cert", "-out", "q.tsq")
    reply = ("-config", "tsa.cnf", "-section", "one", "-queryfile", "q.tsq", "-out", name)
    openssl(authority, "ts", "-reply", *reply)
    return authority / name


@needs_openssl
def test_a_token_is_verified_with_the_authoritys_root(authority: Path) -> None:
    token = stamp(authority, DIGEST, "good.tsr")
    found, name, data = check_stamp(token, DIGEST, authority / "ca.pem")
    assert (found.kind, found.verified, name) == ("rfc3161", True, TOKEN)
    assert found.identity == "/CN=Authority"
    assert data == token.read_bytes()
    age = datetime.now(UTC) - datetime.fromisoformat(found.time)
    assert abs(age.total_seconds()) < 600


@needs_openssl
def test_without_a_root_the_signature_is_said_not_to_be_verified(authority: Path) -> None:
    found, *_ = check_stamp(stamp(authority, DIGEST, "bare.tsr"), DIGEST, None)
    assert not found.verified


@needs_openssl
@pytest.mark.parametrize("root", [True, False])
def test_a_token_of_another_hash_is_refused(root: bool, authority: Path) -> None:
    token = stamp(authority, "0" * 64, "other.tsr")
    with pytest.raises(DataError, match="not of the registration's hash"):
        check_stamp(token, DIGEST, authority / "ca.pem" if root else None)


@needs_openssl
def test_another_root_and_no_certificate_verify_nothing(authority: Path, tmp_path: Path) -> None:
    token = stamp(authority, DIGEST, "good.tsr")
    (tmp_path / "empty.pem").write_bytes(b"no certificate")
    for root in (authority / "other.pem", tmp_path / "empty.pem"):
        with pytest.raises(DataError, match="signature is not valid"):
            check_stamp(token, DIGEST, root)


@needs_openssl
def test_a_changed_token_is_refused(authority: Path, tmp_path: Path) -> None:
    data = stamp(authority, DIGEST, "good.tsr").read_bytes()
    place = data.rindex(b"Root ca")  # within a certificate
    for changed in (
        data[:-1] + bytes([data[-1] ^ 1]),
        data[:place] + b"Boot ca" + data[place + 7 :],
    ):
        (tmp_path / "changed.tsr").write_bytes(changed)
        with pytest.raises(DataError):
            check_stamp(tmp_path / "changed.tsr", DIGEST, authority / "ca.pem")


@needs_openssl
def test_the_status_around_a_token_cannot_say_another_time(authority: Path, tmp_path: Path) -> None:
    """It is not signed: a text in it must not be taken for the token's own."""
    data = stamp(authority, DIGEST, "good.tsr").read_bytes()
    lie = b"x\nTime stamp: Jan  1 00:00:00 2001 GMT\nTSA: nobody\n"
    # TimeStampResp ::= SEQUENCE { status SEQUENCE { INTEGER 0, SEQUENCE { UTF8String } }, token }
    start = 4 if data[1] == 0x82 else 2
    assert data[start : start + 2] == b"\x30\x03"
    text = bytes([0x0C, len(lie)]) + lie
    free = bytes([0x30, len(text)]) + text
    status = bytes([0x30, len(free) + 3]) + b"\x02\x01\x00" + free
    body = status + data[start + 5 :]
    (tmp_path / "lie.tsr").write_bytes(b"\x30\x82" + len(body).to_bytes(2, "big") + body)
    shown = subprocess.run(
        ["openssl", "ts", "-reply", "-in", tmp_path / "lie.tsr", "-text"], capture_output=True
    )
    assert b"2001" in shown.stdout  # the attack is one
    found, *_ = check_stamp(tmp_path / "lie.tsr", DIGEST, authority / "ca.pem")
    assert not found.time.startswith("2001")
    assert found.identity == "/CN=Authority"


HOSTILE = {
    "empty": b"",
    "text": b"hello",
    "truncated": b"\x30\x82\x10\x00\x30\x03\x02\x01\x00",
    "deep": b"\x30\x80" * 20_000,
    "too large": b"\x30" * (MOST_TOKEN + 1),
    "half a commit": b"tree " + b"a" * 40,
    "a commit without its date": b"tree " + b"a" * 40 + b"\nauthor x\n\n" + DIGEST.encode(),
    "a date that is none": (
        b"tree " + b"a" * 40 + b"\ncommitter x <y> 999999999999 +0000\n\n" + DIGEST.encode()
    ),
}


@needs_openssl
@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_files_end_in_one_line(what: str, tmp_path: Path) -> None:
    (tmp_path / "-config").write_bytes(HOSTILE[what])
    with pytest.raises(DataError) as error:
        check_stamp(tmp_path / "-config", DIGEST, None)
    assert "\n" not in str(error.value)


def test_without_openssl_one_line_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t.tsr").write_bytes(b"\x30\x03")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentProblem, match="needs the program openssl — install openssl"):
        check_stamp(tmp_path / "t.tsr", DIGEST, None)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    environment = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    for words in (
        ["init", "-q", "."],
        ["config", "user.name", "A"],
        ["config", "user.email", "a@b"],
    ):
        git(tmp_path, *words, **environment)
    return tmp_path


def git(folder: Path, *words: str, **environment: str) -> bytes:
    done = subprocess.run(
        ["git", *words],
        cwd=folder,
        check=True,
        capture_output=True,
        timeout=60,
        env=os.environ | environment,
    )
    return done.stdout


def commit(folder: Path, message: str) -> Path:
    date = "2026-03-04T05:06:07+02:00"
    git(folder, "commit", "-q", "--allow-empty", "-m", message, GIT_COMMITTER_DATE=date)
    (folder / "c").write_bytes(git(folder, "cat-file", "commit", "HEAD"))
    return folder / "c"


@needs_git
@pytest.mark.parametrize("length", [64, 32])
def test_a_commit_is_read_with_its_id_and_date(length: int, repository: Path) -> None:
    file = commit(repository, f"Register the study\n\n{DIGEST[:length]}")
    found, name, data = check_stamp(file, DIGEST, None)
    assert found.identity == git(repository, "rev-parse", "HEAD").decode().strip()
    assert (found.kind, found.verified, name) == ("git", False, COMMIT)
    assert found.time == "2026-03-04T03:06:07Z"
    assert data == file.read_bytes()


@needs_git
@pytest.mark.parametrize("message", ["Register", DIGEST[:31], "0" * 64])
def test_a_commit_without_enough_of_the_hash_is_refused(message: str, repository: Path) -> None:
    with pytest.raises(DataError, match="does not have the registration's hash"):
        check_stamp(commit(repository, message), DIGEST, None)


@needs_git
def test_a_hash_in_the_header_of_a_commit_is_no_message(repository: Path) -> None:
    data = commit(repository, "Register").read_bytes()
    header, _, message = data.partition(b"\n\n")
    forged = header + b"\nnote " + DIGEST.encode() + b"\n\n" + message
    with pytest.raises(DataError, match="message does not have"):
        read_commit(forged, DIGEST, "c")


@needs_git
def test_certificates_verify_no_commit(repository: Path) -> None:
    with pytest.raises(ConfigError, match="leave --timestamp-ca out"):
        check_stamp(commit(repository, DIGEST), DIGEST, repository / "ca.pem")
