"""Checks offline what dates a registration from outside: an RFC 3161 time-stamp token, or a git commit.

A token is checked by the program ``openssl``, with which its user has just made the query: RFC 3161 is not
in the libraries that milkreport needs, and this check is older and more widely read than any of those that
are.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from milkreport.errors import ConfigError, DataError, EnvironmentProblem
from milkreport.evaluation.records.adherence import Stamp
from milkreport.registration.record import BINDING, COMMIT, TOKEN, read_capped

#: Bytes of a token with its certificates (5 kB), of a commit object, and of a file of certificates.
MOST_TOKEN, MOST_CERTIFICATES = 100_000, 1_000_000
#: Seconds; a check takes a hundredth of one.
_PATIENCE = 30
_DUMP = re.compile(r"^\s+[0-9a-f]{4} - ((?:[0-9a-f]{2}[ -]){1,16})", re.MULTILINE)
_COMMIT = re.compile(rb"tree ([0-9a-f]{40}|[0-9a-f]{64})\n")
_COMMITTER = re.compile(rb"^committer .*> (\d{1,12}) [+-]\d{4}$", re.MULTILINE)


def check_stamp(path: Path, digest: str, authority: Path | None) -> tuple[Stamp, str, bytes]:
    """Check that *path* dates the registration with the hash *digest*.

    Args:
        path: a time-stamp response (DER), or a commit object (``git cat-file commit COMMIT``).
        authority: certificates (PEM) that the user trusts for time stamps; ``None``: a token's signature is
            not verified.

    Returns:
        What it says, the name of its file in a run folder, and its bytes.

    Raises:
        DataError: neither of both, of another hash, or a signature that is not valid.
        EnvironmentProblem: openssl is missing.
    """
    data = read_capped(path, MOST_TOKEN)
    if _COMMIT.match(data):
        if authority is not None:
            what = "a git commit has no signature that --timestamp-ca verifies"
            raise ConfigError(what, "leave --timestamp-ca out", str(path))
        return read_commit(data, digest, str(path)), COMMIT, data
    return _check_token(data, digest, authority, str(path)), TOKEN, data


def read_commit(data: bytes, digest: str, where: str) -> Stamp:
    """What a commit object says of the registration with the hash *digest*; its id is computed.

    Raises:
        DataError: not a commit object, or its message does not have the hash or its first 32 characters.
    """
    tree, found = _COMMIT.match(data), _COMMITTER.search(data.partition(b"\n\n")[0])
    if tree is None or found is None:
        do = "write it by: git cat-file commit COMMIT > FILE"
        raise DataError("not a commit object of git", do, where)
    if digest[:BINDING].encode() not in data.partition(b"\n\n")[2]:
        what = f"the commit's message does not have the registration's hash {digest}"
        raise DataError(what, f"{BINDING} characters of it are enough", where)
    algorithm = "sha256" if len(tree[1]) == 64 else "sha1"
    whole = hashlib.new(algorithm, b"commit %d\0" % len(data), usedforsecurity=False)
    whole.update(data)
    try:
        moment = datetime.fromtimestamp(int(found[1]), UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise DataError("the commit's date is not a date", "give another commit", where) from error
    return Stamp(kind="git", time=_iso(moment), verified=False, identity=whole.hexdigest())


def _check_token(data: bytes, digest: str, authority: Path | None, where: str) -> Stamp:
    openssl = shutil.which("openssl")
    if openssl is None:
        do = "install openssl, or leave --timestamp out"
        raise EnvironmentProblem("checking a time stamp needs the program openssl", do, where)
    with tempfile.TemporaryDirectory(prefix="milkreport-") as folder:
        # Copies under names of our own: no name of a file becomes an option, and what is read is what is
        # kept.
        token = Path(folder, "token.tsr")
        token.write_bytes(data)
        signed = Path(folder, "token.der")
        # Only what is signed is shown: the status around it may hold any text.
        _openssl(openssl, "-reply", "-in", str(token), "-token_out", "-out", str(signed))
        text = _openssl(openssl, "-reply", "-token_in", "-in", str(signed), "-text")
        if text is None:
            do = "give the response of a time-stamp authority, or a commit object"
            raise DataError("not a time stamp that was granted", do, where)
        imprint = "".join(re.sub(r"[ -]", "", line) for line in _DUMP.findall(text))
        if "Hash Algorithm: sha256" not in text or imprint != digest:
            what = f"the time stamp is not of the registration's hash {digest}"
            raise DataError(what, "ask for one of this hash, with SHA-256", where)
        if authority is not None:
            trusted = Path(folder, "authority.pem")
            trusted.write_bytes(read_capped(authority, MOST_CERTIFICATES))
            named = ("-digest", digest, "-CAfile", str(trusted), "-in", str(token))
            if "Verification: OK" not in (_openssl(openssl, "-verify", *named) or ""):
                what = f"its signature is not valid by the certificates in {authority.name}"
                raise DataError(what, "give the authority's own root certificate", where)
    stamped = re.search(r"^Time stamp: (\w{3} +\d+ [\d:]{8})(?:\.\d+)? (\d{4}) GMT$", text, re.M)
    try:
        said_time = " ".join(stamped.groups()) if stamped else ""
        moment = datetime.strptime(said_time, "%b %d %H:%M:%S %Y")
    except ValueError as error:
        raise DataError("the time stamp has no time", "ask for another one", where) from error
    name = re.search(r"^TSA: (.+)$", text, re.M)
    said = "" if name is None or name[1] == "unspecified" else name[1][:200]
    return Stamp(
        kind="rfc3161",
        time=_iso(moment),
        verified=authority is not None,
        identity=said.removeprefix("DirName:"),
    )


def _openssl(program: str, *words: str) -> str | None:
    """Output of ``openssl ts``; ``None`` where it failed. No configuration of the machine is read."""
    environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "OPENSSL_CONF": os.devnull}
    try:
        done = subprocess.run(
            [program, "ts", *words],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE,
            env=environment,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{done.stdout}\n{done.stderr}" if done.returncode == 0 else None


def _iso(moment: datetime) -> str:
    return f"{moment.replace(tzinfo=None).isoformat(timespec='seconds')}Z"
