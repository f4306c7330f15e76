"""`certrotate check` against the machine's OpenSSL and keytool: what they write is read, and what a message says to
run was run, on the very input that it is about."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from local_aws.pki import Authority, Leaf, key_pem
from local_aws.platform import CERTROTATE
from rotations.account import SOURCE_BUCKET, Account

NAMES = ("www.example.com", "example.com")


def needs(*programs: str) -> pytest.MarkDecorator:
    """Programs that a machine may be without, unlike OpenSSL; the reader needs none of them."""
    missing = [program for program in programs if shutil.which(program) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


class Files:
    """A folder with one certificate for an RSA key and one for an EC key, in the forms that others are made from."""

    def __init__(self, folder: Path, certificates: Path) -> None:
        self.folder = folder
        for path in certificates.iterdir():
            shutil.copy(path, folder)
        self.output: list[str] = []
        self.result = ""

    def write(self, name: str, content: bytes | str) -> str:
        (self.folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return name

    def read(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    def openssl(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[bytes]:
        done = subprocess.run(["openssl", *arguments], cwd=self.folder, capture_output=True, stdin=subprocess.DEVNULL)
        assert not check or done.returncode == 0, done.stderr.decode()
        return done

    def check(self, *arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [CERTROTATE, "check", *arguments],
            cwd=self.folder,
            env=os.environ | {"SSL_CERT_FILE": str(self.folder / "root.pem"), "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
        )
        text = (done.stdout + done.stderr).decode()
        self.output.append(text)
        self.result = done.stdout.decode()
        return done.returncode, text

    def fits(self, *arguments: str) -> None:
        code, text = self.check(*arguments)
        assert code == 0, text

    def finding(self, *arguments: str) -> dict[str, Any]:
        """The one finding against what cannot be read, as a program gets it."""
        code, _ = self.check(*arguments, "--output", "json")
        answer = json.loads(self.result)
        assert not answer["fit"] and answer["exitCode"] == code > 0, answer
        assert len(answer["findings"]) == 1, answer
        return answer["findings"][0]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    root = Authority.root()
    authority = root.intermediate()
    (folder / "root.pem").write_text(root.certificate_pem)
    (folder / "chain.pem").write_text(authority.certificate_pem)
    for name, kind in (("rsa", "RSA-2048"), ("ec", "P-256"), ("other", "P-256")):
        write(folder, name, authority.leaf(*NAMES, key_type=kind))
    odd = {
        "exponent": rsa.generate_private_key(public_exponent=3, key_size=2048),
        "primes": with_unequal_primes(),
    }
    for name, key in odd.items():
        write(folder, name, authority.leaf(*NAMES, key=key))
    return folder


def write(folder: Path, name: str, leaf: Leaf) -> None:
    (folder / f"{name}.pem").write_text(leaf.certificate_pem)
    (folder / f"{name}.key").write_text(leaf.key_pem)
    (folder / f"{name}.all").write_text(leaf.certificate_pem + leaf.chain_pem + leaf.key_pem)


def with_unequal_primes() -> rsa.RSAPrivateKey:
    """A key of 2048 bits from primes of 1536 and 512 bits, each taken from another key."""
    while True:
        p = rsa.generate_private_key(public_exponent=65537, key_size=3072).private_numbers().p
        q = rsa.generate_private_key(public_exponent=65537, key_size=1024).private_numbers().q
        if (p * q).bit_length() == 2048:
            break
    d = pow(65537, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(65537, p * q)
    numbers = rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), public)
    return numbers.private_key()


@pytest.fixture
def files(tmp_path: Path, certificates: Path) -> Iterator[Files]:
    files = Files(tmp_path, certificates)
    yield files
    keys = [line for key in tmp_path.glob("*.key") for line in key.read_text().splitlines() if "-----" not in line]
    for text in files.output:
        assert not any(line in text for line in keys if len(line) >= 16), "a key in the output"


# --- PKCS#12


PROTECTED = {
    "the default": (),
    "RC2 of 40 bits and triple DES": ("-legacy",),
    "RC2 of 128 bits": ("-legacy", "-keypbe", "PBE-SHA1-RC2-128", "-certpbe", "PBE-SHA1-RC2-128"),
    "RC2 of 40 bits": ("-legacy", "-keypbe", "PBE-SHA1-RC2-40", "-certpbe", "PBE-SHA1-RC2-40"),
    "triple DES": ("-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1"),
    "triple DES with two keys": ("-keypbe", "PBE-SHA1-2DES", "-certpbe", "PBE-SHA1-2DES"),
    "RC4 of 128 bits": ("-legacy", "-keypbe", "PBE-SHA1-RC4-128", "-certpbe", "PBE-SHA1-RC4-128"),
    "RC4 of 40 bits": ("-legacy", "-keypbe", "PBE-SHA1-RC4-40", "-certpbe", "PBE-SHA1-RC4-40"),
    "AES of 128 bits": ("-keypbe", "AES-128-CBC", "-certpbe", "AES-128-CBC"),
    "AES of 192 bits": ("-keypbe", "AES-192-CBC", "-certpbe", "AES-192-CBC"),
    "AES of 256 bits": ("-keypbe", "AES-256-CBC", "-certpbe", "AES-256-CBC"),
    "triple DES by PBES2": ("-keypbe", "DES-EDE3-CBC", "-certpbe", "DES-EDE3-CBC"),
    "nothing encrypted": ("-keypbe", "NONE", "-certpbe", "NONE"),
    "only the key encrypted": ("-certpbe", "NONE"),
    "no MAC": ("-nomac",),
    "no MAC, nothing encrypted": ("-nomac", "-keypbe", "NONE", "-certpbe", "NONE"),
    "SHA-1": ("-macalg", "sha1"),
    "SHA-224": ("-macalg", "sha224"),
    "SHA-384": ("-macalg", "sha384"),
    "SHA-512": ("-macalg", "sha512"),
    "one iteration": ("-iter", "1", "-nomaciter"),
    "many iterations": ("-iter", "100000"),
}


def export(files: Files, password: str, *arguments: str, name: str = "rsa") -> str:
    parts = ("-inkey", f"{name}.key", "-in", f"{name}.pem", "-certfile", "chain.pem", "-out", f"{name}.p12")
    files.openssl("pkcs12", "-export", *parts, "-passout", f"pass:{password}", *arguments)
    return f"{name}.p12"


@pytest.mark.parametrize("arguments", PROTECTED.values(), ids=PROTECTED)
@pytest.mark.parametrize("password", ["open sesame", ""], ids=["password", "empty"])
def test_pkcs12_is_opened_as_openssl_opens_it(files: Files, arguments: tuple[str, ...], password: str):
    file = export(files, password, *arguments)
    given = files.write("password", password)
    files.fits(file, "--password-file", given)
    # Base64 of it, as Azure and CI systems keep it; and under the label that certutil writes.
    encoded = base64.encodebytes(files.read(file)).decode()
    files.fits(files.write("encoded", encoded), "--password-file", given)
    armoured = f"-----BEGIN CERTIFICATE-----\n{encoded}-----END CERTIFICATE-----\n"
    files.fits(files.write("armoured", armoured), "--password-file", given)
    # In BER, with values in pieces.
    files.fits(files.write("ber.p12", in_ber(files.read(file))), "--password-file", given)
    is_protected = "-nomac" not in arguments or "NONE" not in arguments
    finding = files.finding(file, "--password-file", files.write("wrong", "wrong")) if is_protected else None
    assert finding is None or "password does not open" in finding["problem"], finding


def test_pkcs12_without_a_password_is_told_from_an_empty_one(files: Files):
    bare = export(files, "", "-nomac", "-keypbe", "NONE", "-certpbe", "NONE")
    empty = files.write("empty", "")
    for password in (b"", b"\0\0"):
        files.fits(files.write("mac.p12", with_mac(files.read(bare), password)), "--password-file", empty)
        finding = files.finding("mac.p12", "--password-file", files.write("wrong", "wrong"))
        assert "password does not open" in finding["problem"], finding


@pytest.mark.parametrize("function", ["sha1", "sha224", "sha256", "sha384", "sha512"])
def test_pkcs12_with_the_mac_of_rfc_9579(files: Files, function: str):
    bare = export(files, "", "-nomac", "-keypbe", "NONE", "-certpbe", "NONE")
    files.write("mac.p12", with_pbmac1(files.read(bare), "Grüße".encode(), function))
    files.fits("mac.p12", "--password-file", files.write("password", "Grüße"))
    finding = files.finding("mac.p12", "--password-file", files.write("wrong", "wrong"))
    assert "password does not open" in finding["problem"], finding


@pytest.mark.parametrize(
    "content",
    [
        "Grüße\n".encode(),
        "Grüße\r\n".encode("utf-8-sig"),
        "Grüße\n".encode("utf-16"),
        b"\xfe\xff" + "Grüße".encode("utf-16-be"),
    ],
    ids=["UTF-8", "with a mark", "UTF-16", "UTF-16, big-endian"],
)
def test_a_password_file_may_have_a_mark(files: Files, content: bytes):
    export(files, "Grüße")
    files.fits("rsa.p12", "--password-file", files.write("password", content))


@needs("keytool")
@pytest.mark.parametrize("kind", ["RSA", "EC"])
def test_keystores_of_java(files: Files, kind: str):
    size = ("-keysize", "2048") if kind == "RSA" else ("-groupname", "secp256r1")
    store = ("-keystore", "store.p12", "-storepass", "secret", "-storetype", "PKCS12")
    keytool(files, "-genkeypair", *store, "-alias", "www", "-keyalg", kind, *size, *named("www"))
    code, text = files.check("store.p12", "--password-file", files.write("password", "secret"))
    # It is self-signed, and otherwise as it should be.
    assert code == 1 and "1 problem" in text and "self-signed" in text, text
    keytool(files, "-genkeypair", *store, "-alias", "old", "-keyalg", kind, *size, *named("old"))
    finding = files.finding("store.p12", "--password-file", "password")
    assert "second private key" in finding["problem"] and "-srcalias" in finding["cure"], finding


def named(name: str) -> tuple[str, ...]:
    return ("-dname", f"CN={name}.example.com", "-ext", f"san=dns:{name}.example.com")


def keytool(files: Files, *arguments: str) -> None:
    done = subprocess.run(["keytool", *arguments], cwd=files.folder, capture_output=True)
    assert done.returncode == 0, done.stdout.decode()


# --- Keys


def test_a_key_is_read_if_openssl_reads_it(files: Files):
    """Every encoding under every label, and with something after it, next to OpenSSL's own reading."""
    made: dict[str, tuple[str, bytes]] = {}
    for name, traditional in (("rsa", "RSA PRIVATE KEY"), ("exponent", "RSA PRIVATE KEY"), ("ec", "EC PRIVATE KEY")):
        files.openssl("pkcs8", "-topk8", "-nocrypt", "-in", f"{name}.key", "-outform", "der", "-out", "8.der")
        files.openssl("pkey", "-traditional", "-in", f"{name}.key", "-outform", "der", "-out", "1.der")
        made[f"{name}, PKCS#8"] = (name, files.read("8.der"))
        made[f"{name}, {traditional}"] = (name, files.read("1.der"))
    for option in ("-no_public", "-conv_form compressed", "-param_enc explicit", "-conv_form hybrid"):
        parts = option.split()
        files.openssl("ec", "-in", "ec.key", *parts, "-outform", "der", "-out", "1.der")
        made[f"ec {option}"] = ("ec", files.read("1.der"))
        files.openssl("ec", "-in", "ec.key", *parts, "-out", "1.pem")
        files.openssl("pkcs8", "-topk8", "-nocrypt", "-in", "1.pem", "-outform", "der", "-out", "8.der")
        made[f"ec {option}, PKCS#8"] = ("ec", files.read("8.der"))
    numbers = serialization.load_pem_private_key(files.read("ec.key"), None).private_numbers()
    scalar = numbers.private_value.to_bytes(32)
    made["primes"] = ("primes", der_of(files.read("primes.key").decode()))
    read = 0
    for what, (name, der) in made.items():
        for label in ("PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"):
            for after in (b"", b"\n", b"\r\n", b"\0"):
                files.write("odd.key", pem(label, der + after))
                by_openssl = files.openssl("pkey", "-in", "odd.key", "-noout", check=False).returncode == 0
                code, text = files.check(f"{name}.pem", "chain.pem", "odd.key")
                # OpenSSL goes by the label; it reads some keys only under theirs.
                assert code == 0 or not by_openssl, (what, label, after, text)
                read += by_openssl
        files.fits(f"{name}.pem", "chain.pem", files.write("odd.der", der))
        if name in ("exponent", "primes"):
            # Of these only the primes are checked.
            continue
        at = der.index(scalar) + 10 if name == "ec" else len(der) - 20
        damaged = der[:at] + bytes([der[at] ^ 1]) + der[at + 1 :]
        code, text = files.check(f"{name}.pem", "chain.pem", files.write("odd.der", damaged))
        assert code == 1 and "private key" in text, (what, text)
    assert read > 60, read


def der_of(text: str) -> bytes:
    return base64.b64decode("".join(line for line in text.splitlines() if "-----" not in line))


def pem(label: str, der: bytes) -> str:
    return f"-----BEGIN {label}-----\n{base64.encodebytes(der).decode()}-----END {label}-----\n"


def test_what_openssl_writes_for_certificates(files: Files):
    files.openssl("crl2pkcs7", "-nocrl", "-certfile", "rsa.pem", "-certfile", "chain.pem", "-out", "all.p7b")
    files.fits("all.p7b", "rsa.key")
    files.openssl("pkcs7", "-in", "all.p7b", "-outform", "der", "-out", "all.p7c")
    files.fits("all.p7c", "rsa.key")
    files.fits(files.write("ber.p7c", in_ber(files.read("all.p7c"))), "rsa.key")
    for name in ("rsa", "chain"):
        files.openssl("x509", "-in", f"{name}.pem", "-outform", "der", "-out", f"{name}.cer")
    files.openssl("pkey", "-in", "rsa.key", "-outform", "der", "-out", "rsa.key.der")
    files.fits("rsa.cer", "chain.cer", "rsa.key.der")
    trust = ("-addtrust", "serverAuth", "-setalias", "www")
    files.openssl("x509", "-in", "rsa.pem", *trust, "-trustout", "-out", "trusted.pem")
    assert b"TRUSTED" in files.read("trusted.pem")
    files.fits("trusted.pem", "chain.pem", "rsa.key")
    files.openssl("x509", "-in", "rsa.pem", "-text", "-out", "text.pem")
    files.openssl("req", "-new", "-key", "rsa.key", "-subj", "/CN=x", "-out", "rsa.csr")
    files.openssl("dhparam", "-dsaparam", "-out", "dh.pem", "1024")
    files.openssl("pkey", "-in", "rsa.key", "-pubout", "-out", "rsa.pub")
    files.fits("text.pem", "chain.pem", "rsa.csr", "dh.pem", "rsa.pub", "rsa.key")
    files.fits("text.pem", "chain.pem", files.write("all.csr", der_of(files.read("rsa.csr").decode())), "rsa.key")
    # Without the certificate, the request is what they gave instead of it.
    finding = files.finding("rsa.csr", "rsa.key")
    assert "no certificate, but a CERTIFICATE REQUEST in block 1" in finding["problem"], finding
    finding = files.finding("rsa.pem", "chain.pem", "rsa.pub")
    assert "no private key, but a PUBLIC KEY in block 3" in finding["problem"], finding


# --- Messages


def cures(files: Files) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Inputs whose message has commands: what is checked, and what is checked after they were run."""
    complete = files.read("rsa.all").decode()
    encrypted = key_pem(serialization.load_pem_private_key(files.read("rsa.key"), None), "PKCS8", "secret")
    old_format = key_pem(serialization.load_pem_private_key(files.read("rsa.key"), None), "PKCS1", "secret")
    certificate = files.read("rsa.pem").decode() + files.read("chain.pem").decode()
    given = files.write("password", "secret")
    export(files, "secret")
    keytool(
        files,
        *("-importkeystore", "-srckeystore", "rsa.p12", "-srcstorepass", "secret", "-destkeystore", "store.jks"),
        *("-deststoretype", "JKS", "-deststorepass", "secret", "-destkeypass", "secret"),
    )
    two = ("-genkeypair", "-keystore", "two.p12", "-storepass", "secret", "-storetype", "PKCS12", "-alias", "old")
    keytool(files, *two, "-keyalg", "EC", "-dname", "CN=old.example.com")
    keytool(
        files,
        *("-importkeystore", "-srckeystore", "rsa.p12", "-srcstorepass", "secret", "-srcalias", "1"),
        *("-destkeystore", "two.p12", "-deststorepass", "secret", "-destalias", "new"),
    )
    files.write("openssh", files.read("rsa.key"))
    (files.folder / "openssh").chmod(0o600)
    ssh = ["ssh-keygen", "-p", "-q", "-N", "", "-f", "openssh"]
    subprocess.run(ssh, cwd=files.folder, check=True, capture_output=True)
    assert b"OPENSSH" in files.read("openssh")
    with zipfile.ZipFile(files.folder / "delivery.zip", "w") as archive:
        archive.writestr("unpacked.pem", complete)
    exported = {"Certificate": files.read("rsa.pem").decode(), "PrivateKey": encrypted}
    exported["CertificateChain"] = files.read("chain.pem").decode()
    yaml = "".join(
        f"  {name}: {base64.b64encode(text.encode()).decode()}\n"
        for name, text in (("tls.crt", certificate), ("tls.key", files.read("rsa.key").decode()))
    )
    dashes = {"two.txt": "—–", "five.txt": "−−−−−", "four.txt": "----", "spaced.txt": "----- "}
    return {
        "UTF-16": ((files.write("utf16.txt", complete.encode("utf-16-le")),), ("utf8.txt",)),
        "UTF-16, big-endian": ((files.write("utf16be.txt", complete.encode("utf-16-be")),), ("utf8.txt",)),
        "a Java keystore": (("store.jks",), ("bundle.pem",)),
        "two keys": (("two.p12", "--password-file", given), ("one.p12", "--password-file", given)),
        "an archive": (("delivery.zip",), ("unpacked.pem",)),
        "YAML": ((files.write("secret.yaml", f"kind: Secret\ndata:\n{yaml}"),), ("bundle.pem",)),
        "an encrypted key": ((files.write("both.pem", certificate + encrypted),), ("rsa.pem", "chain.pem", "key.pem")),
        "OpenSSL's old encryption": (
            (files.write("both.pem", certificate + old_format),),
            ("rsa.pem", "chain.pem", "key.pem"),
        ),
        "an encrypted key in DER": (
            (files.write("encrypted.der", der_of(encrypted)),),
            ("rsa.pem", "chain.pem", "key.pem"),
        ),
        "ACM's export": ((files.write("secret.json", json.dumps(exported)),), ("rsa.pem", "chain.pem", "key.pem")),
        "a key of OpenSSH": (
            (files.write("both.pem", certificate + files.read("openssh").decode()),),
            ("rsa.pem", "chain.pem", "key.pem"),
        ),
    } | {
        f"dashes: {name}": (
            (
                files.write(
                    name,
                    re.sub("-----(BEGIN|END) (.*)-----", rf"{d}\1 \2{d[::-1]}", complete),
                ),
            ),
            ("mended.pem",),
        )
        for name, d in dashes.items()
    }


CURES = (
    "UTF-16",
    "UTF-16, big-endian",
    "a Java keystore",
    "two keys",
    "an archive",
    "YAML",
    "an encrypted key",
    "OpenSSL's old encryption",
    "an encrypted key in DER",
    "ACM's export",
    "a key of OpenSSH",
    "dashes: two.txt",
    "dashes: five.txt",
    "dashes: four.txt",
    "dashes: spaced.txt",
)


@needs("keytool", "ssh-keygen")
def test_every_input_with_a_cure_is_tried(files: Files):
    assert tuple(cures(files)) == CURES


@needs("keytool", "ssh-keygen", "unzip")
@pytest.mark.parametrize("what", CURES)
def test_the_cure_that_is_printed_helps(files: Files, what: str):
    given, afterwards = cures(files)[what]
    finding = files.finding(*given)
    commands = re.findall("`([^`]+)`", finding["cure"])
    assert commands, finding
    for command in commands:
        # A placeholder that people fill in; the file's own name is there already.
        run(files, command.replace("ALIAS", "new"))
    files.fits(*afterwards)


def run(files: Files, command: str) -> None:
    """Runs a command on a terminal, where it asks for passwords."""
    assert "FILE" not in command, command
    # jaq accepts jq's options and filters, and can be installed as a package.
    programs = files.folder / "bin"
    programs.mkdir(exist_ok=True)
    if not (programs / "jq").exists():
        (programs / "jq").symlink_to(Path(sys.executable).parent / "jaq")
    shell = pexpect.spawn(
        "bash",
        ["-c", f"set -eo pipefail; {command}"],
        cwd=str(files.folder),
        env=os.environ | {"PATH": f"{programs}:{os.environ['PATH']}"},
        encoding="utf-8",
        timeout=60,
    )
    said = ""
    while shell.expect([r"(?i)(pass ?phrase|password)[^\n]*: *", pexpect.EOF]) == 0:
        said += shell.before + shell.after
        shell.sendline("secret")
    shell.close()
    assert shell.exitstatus == 0, (command, said + (shell.before or ""))


def test_the_cure_for_broken_json_makes_a_source(files: Files):
    files.write("fullchain.pem", files.read("rsa.pem") + files.read("chain.pem"))
    files.write("key.pem", files.read("rsa.key"))
    broken = '{"certificate": "' + files.read("fullchain.pem").decode() + '"}'
    [command] = re.findall("`([^`]+)`", files.finding(files.write("secret.json", broken))["cure"])
    run(files, command)
    files.fits("source.json")


@pytest.mark.parametrize(("whole", "others"), [("rsa.pem", ("chain.pem", "rsa.key")), ("rsa.key", ("rsa.pem",))])
def test_the_command_of_a_message_tells_a_damaged_block_from_a_whole_one(
    files: Files, whole: str, others: tuple[str, ...]
):
    """It finds the damage in the block itself, which is the only one in its file."""
    lines = files.read(whole).decode().splitlines(keepends=True)
    files.write("damaged.pem", "".join(lines[:3] + lines[5:]))
    finding = files.finding("damaged.pem", *others)
    [command] = re.findall("`([^`]+)`", finding["cure"])
    command = command.replace("FILE", "damaged.pem")
    with pytest.raises(AssertionError):
        run(files, command)
    run(files, command.replace("damaged.pem", whole))


@pytest.mark.parametrize("form", ["a file", "base64", "a field"])
def test_the_cure_for_pkcs12_in_a_source_makes_one(account: Account, files: Files, form: str):
    """The functions have no password, and say how to do without one."""
    old = account.old()
    account.targets(old, 1)
    content = files.read(export(files, "secret"))
    text = base64.encodebytes(content).decode()
    if form == "a file":
        files.write("source", content)
        account.aws.client("s3").put_object(Bucket=SOURCE_BUCKET, Key="source.p12", Body=content)
        source = f"s3://{SOURCE_BUCKET}/source.p12"
    else:
        files.write("source", text if form == "base64" else json.dumps({"domain": "x", "pfx": text}))
        source = account.secret(files.read("source").decode())
    cause = account.refused(source, old, "SourceUnreadable", "PKCS#12, which takes a password")
    convert, *more = [one.replace("FILE", "source") for one in re.findall("`([^`]+)`", cause)]
    if form == "base64":
        run(files, more[0])
        convert = convert.replace("source", "bundle.p12")
    run(files, convert)
    files.fits("bundle.pem")


UNREADABLE: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "it is empty"),
    "a text": (b"hello", "neither PEM nor JSON"),
    "a picture": (b"\x89PNG\r\n\x1a\n\0\0\xff", "neither text nor a certificate"),
    "another quote": (b"{'certificate': 'x'}", "broken JSON at line 1"),
    "fields of another kind": (b'{"domain": "x", "owner": "y"}', "neither a certificate nor a private key"),
    "empty fields": (b'{"certificate": "x", "privateKey": "y"}', "the fields certificate, privateKey"),
    "no END": (b"-----BEGIN CERTIFICATE-----\nAAAA", "-----END"),
    "no base64": (b"-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----", "not base64"),
    "no certificate": (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "not an X.509 certificate"),
    "70,000 bytes": (b"#" * 70_000, "it has 70000 bytes; a secret holds 65536 at most"),
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_json_is_printed_whatever_the_input_is(files: Files, what: str):
    content, problem = UNREADABLE[what]
    finding = files.finding(files.write("input", content))
    assert problem in finding["problem"], finding
    assert "input" in finding["subject"] and finding["cure"], finding
    said = json.dumps(finding)
    # Words, and not the names of identifiers and of errors in Rust.
    assert not re.search(r"\d\.\d+\.\d+\.\d|Error|Invalid[A-Z]|[a-z]::[a-z]|Some\(", said), said


def test_json_is_printed_for_what_is_no_file(files: Files):
    assert "No such file" in files.finding("missing.pem")["problem"]
    assert "Is a directory" in files.finding(".")["problem"]
    assert "no terminal" in files.finding(export(files, "secret"))["problem"]
    files.write("root.pem", "no root")
    assert "root" in files.finding("rsa.all")["subject"]


# --- DER, and what is not


def elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    while der:
        length, start = der[1], 2
        if length & 0x80:
            start += length & 0x7F
            length = int.from_bytes(der[2:start])
        yield der[0], der[start : start + length]
        der = der[start + length :]


def tlv(tag: int, *contents: bytes) -> bytes:
    content = b"".join(contents)
    if len(content) < 0x80:
        return bytes([tag, len(content)]) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8)
    return bytes([tag, 0x80 | len(length)]) + length + content


def in_ber(der: bytes, depth: int = 4) -> bytes:
    """The outer elements with indefinite lengths, and long values in pieces of 1,000 bytes, as NSS and Windows write
    them. What is signed or protected stays as it is."""
    out = b""
    for tag, content in elements(der):
        if depth and tag & 0x20:
            out += bytes([tag, 0x80]) + in_ber(content, depth - 1) + b"\0\0"
        elif tag in (0x04, 0x80) and len(content) > 1_000:
            pieces = [tlv(0x04, content[at : at + 1_000]) for at in range(0, len(content), 1_000)]
            out += bytes([tag | 0x20, 0x80]) + b"".join(pieces) + b"\0\0"
        else:
            out += tlv(tag, content)
    return out


def safe_of(pfx: bytes) -> tuple[bytes, bytes]:
    """The parts of a file before its MAC, and what the MAC is of: RFC 7292, section 4."""
    ((_, parts),) = elements(pfx)
    version, info = list(elements(parts))[:2]
    (_, (_, explicit)) = elements(info[1])
    ((_, content),) = elements(explicit)
    return tlv(*version) + tlv(*info), content


def mac(algorithm: bytes, digest: bytes, salt: bytes) -> bytes:
    rounds = tlv(0x02, (1_000).to_bytes(2))
    return tlv(0x30, tlv(0x30, algorithm, tlv(0x04, digest)), tlv(0x04, salt), rounds)


def with_mac(pfx: bytes, password: bytes) -> bytes:
    """With the MAC of RFC 7292, appendix B, for a password in its bytes: none at all for no password."""
    parts, content = safe_of(pfx)
    salt, block = b"12345678", 64
    padded = b"".join((part * block)[: block * -(-len(part) // block)] for part in (salt, password) if part)
    key = hashlib.sha256(b"\3" * block + padded).digest()
    for _ in range(999):
        key = hashlib.sha256(key).digest()
    sha256 = tlv(0x30, bytes.fromhex("0609608648016503040201"), b"\5\0")
    return tlv(0x30, parts, mac(sha256, hmac.digest(key, content, "sha256"), salt))


def with_pbmac1(pfx: bytes, password: bytes, function: str) -> bytes:
    """With the MAC of RFC 9579."""
    parts, content = safe_of(pfx)
    number = {"sha1": 7, "sha224": 8, "sha256": 9, "sha384": 10, "sha512": 11}[function]
    hmac_of = tlv(0x30, bytes.fromhex("06082a864886f70d02") + bytes([number]), b"\5\0")
    salt = b"12345678"
    key = hashlib.pbkdf2_hmac(function, password, salt, 2_048, 32)
    prf = b"" if function == "sha1" else hmac_of
    numbers = tlv(0x04, salt), tlv(0x02, (2_048).to_bytes(2)), tlv(0x02, b"\x20"), prf
    derivation = tlv(0x30, bytes.fromhex("06092a864886f70d01050c"), tlv(0x30, *numbers))
    algorithm = tlv(0x30, bytes.fromhex("06092a864886f70d01050e"), tlv(0x30, derivation, hmac_of))
    return tlv(0x30, parts, mac(algorithm, hmac.digest(key, content, function), salt))
