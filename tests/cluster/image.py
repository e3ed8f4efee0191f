"""Tests the image: two builds have the same digest, it is small, and it runs without anything else.

buildah builds it from the Dockerfile, on a builder image that tests/cluster/builder.sh makes unless --builder names
another one. Then runc runs it with a read-only root, as its own user, without capabilities, in a network that has only
loopback: it serves with its sandbox, answers a health check, is called by names from /etc/hosts and from DNS, and is
stopped. An image for another architecture is built and inspected, and its demo runs if qemu-user-static is installed.

It needs root, and from Debian: buildah, skopeo, runc, debootstrap, dnsmasq-base, iproute2. All files are in
target/image. A build takes about six minutes on two cores, because of fat LTO.
"""

import argparse
import contextlib
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import time
import tomllib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "production"))
import tools  # noqa: E402 (the line above makes it importable)

IMAGE = "localhost/gemini-grpc"
MAX_BYTES = 40_000_000
# e_machine in the header of an ELF file.
ELF_MACHINES = {"amd64": 62, "arm64": 183}
QEMU_NAMES = {"amd64": "x86_64", "arm64": "aarch64"}
CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
BUILD_LABELS = [f"org.opencontainers.image.{name}" for name in ("version", "revision", "created")]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--builder", default="localhost/rust-builder", help="the image to build on, in buildah's store")
    add("--arch", choices=sorted(ELF_MACHINES), default=own_architecture(), help="the architecture to build for")
    add("--twice", action="store_true", help="build twice, and compare the digests")
    add("--no-build", action="store_true", help="test the image of the last build")
    return parser.parse_args()


def own_architecture():
    machine = subprocess.run(["uname", "-m"], capture_output=True, text=True, check=True).stdout.strip()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def git(*command):
    return subprocess.run(["git", *command], cwd=tools.ROOT, capture_output=True, text=True, check=True).stdout.strip()


def build(args, image, verdict):
    """Builds the image once or twice, and returns the build arguments; without a build, none."""
    import containers

    version = tomllib.loads((tools.ROOT / "Cargo.toml").read_text())["package"]["version"]
    created = int(git("log", "-1", "--format=%ct"))
    build_arguments = {
        "VERSION": version,
        "REVISION": git("rev-parse", "HEAD"),
        "CREATED": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(created)),
    }
    if args.no_build:
        return {}
    if args.builder == "localhost/rust-builder" and not containers.exists(args.builder):
        tools.say("making the builder, with debootstrap and this machine's Rust")
        with (containers.HOME / "builder.log").open("wb") as log:
            script = [str(tools.ROOT / "tests/cluster/builder.sh"), *containers.STORE]
            subprocess.run(script, check=True, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    digests = []
    for number in range(2 if args.twice else 1):
        log = containers.HOME / f"build-{args.arch}-{number + 1}.log"
        started = time.monotonic()
        tools.say(f"building for {args.arch}: {log}")
        platforms = f"linux/{own_architecture()}", f"linux/{args.arch}"
        containers.build(image, args.builder, platforms, created, build_arguments, log)
        digests.append(containers.pushed(image)[1])
        tools.say(f"  {time.monotonic() - started:.0f} s, {digests[-1]}")
    if args.twice:
        same = len(set(digests)) == 1
        verdict.check("two builds have the same digest", same, " ".join(digest[7:23] for digest in digests))
    return build_arguments


def inspect_image(image, arch, root, build_arguments, verdict):
    """Checks what can be seen without running the image."""
    import containers

    config, architecture = containers.configuration(image)
    manifest, digest = containers.pushed(image)
    files = [path for path in root.rglob("*") if path.is_file()]
    size, compressed = sum(path.lstat().st_size for path in files), sum(layer["size"] for layer in manifest["layers"])
    check = verdict.check
    seen = f"{size:,} bytes, compressed {compressed:,}"
    check(f"the image is under {MAX_BYTES // 1_000_000} MB", size < MAX_BYTES, seen)
    check("digest", True, digest)
    check("architecture", architecture == arch, architecture)
    names = sorted(str(path.relative_to(root)) for path in files)
    check("its files include no shell and no library", len(names) == 6, " ".join(sorted(path.name for path in files)))
    binary = (root / "usr/bin/gemini-grpc").read_bytes()
    machine, interpreter = elf(binary)
    check("the binary is static", machine == ELF_MACHINES[architecture] and not interpreter, f"{len(binary):,} bytes")
    occurrences = binary.count(b"/usr/local/cargo")
    check("the binary contains no path of the builder", not occurrences, occurrences)
    check("only root can change its files", all(only_root_can_write(path) for path in files), f"{len(files)} files")
    check("user", config["User"] == "65532:65532", config["User"])
    check("entry point", config["Entrypoint"] == ["/usr/bin/gemini-grpc"], config["Entrypoint"])
    check("command", config["Cmd"] == ["serve"], config["Cmd"])
    check("stop signal", config.get("StopSignal") == "SIGTERM", config.get("StopSignal"))
    check("port", list(config["ExposedPorts"]) == ["50051/tcp"], " ".join(config["ExposedPorts"]))
    variables = [line.partition("=")[0] for line in config["Env"]]
    check("no variable is a secret", set(variables) <= {"PATH", "GEMINI_GRPC_LISTEN"}, " ".join(variables))
    labels = {name: value for name, value in config["Labels"].items() if name.startswith("org.opencontainers.image.")}
    wanted = {f"org.opencontainers.image.{name.lower()}": value for name, value in build_arguments.items()}
    built = {name: labels.get(name) for name in BUILD_LABELS}
    check("labels with the version, commit and date", built == wanted or not wanted, " ".join(map(str, built.values())))
    check("there are seven labels", len(labels) == 7, " ".join(sorted(name.rpartition(".")[2] for name in labels)))
    authorities = (root / CA_BUNDLE[1:]).read_text().count("BEGIN CERTIFICATE")
    check("more than 100 certificate authorities", authorities > 100, authorities)


def elf(binary):
    """The machine that an ELF binary is for, and whether it needs a dynamic loader (it has a PT_INTERP header)."""
    machine = struct.unpack_from("<H", binary, 18)[0]
    offset, entry, count = *struct.unpack_from("<Q", binary, 32), *struct.unpack_from("<HH", binary, 54)
    kinds = [struct.unpack_from("<I", binary, offset + entry * number)[0] for number in range(count)]
    return machine, 3 in kinds


def only_root_can_write(path):
    status = path.lstat()
    return status.st_uid == status.st_gid == 0 and not status.st_mode & 0o022


@contextlib.contextmanager
def dns(net):
    """A DNS server in this network that knows one name, until the `with` block ends."""
    from running import other

    words = ["--no-daemon", "--no-resolv", "--no-hosts", "--conf-file=/dev/null", "--pid-file="]
    words += ["--listen-address=127.0.0.1", "--bind-interfaces", "--host-record=gateway.dns.test,127.0.0.1"]
    with other("ip", "netns", "exec", net, "dnsmasq", *words, "--log-queries", "--local=/test/") as server:
        server.wait_for(lambda line: "started" in line)
        yield server


@contextlib.contextmanager
def serving(inside, *arguments, **options):
    """A container that serves, until the `with` block ends; without arguments, with those of the image."""
    from processes import Process, address_in
    from running import end

    name, words = inside.command(*arguments, **options)
    process = Process(*words, program="runc")
    try:
        process.name, process.address = name, process.wait_for(address_in)
        yield process
    finally:
        end(process)
        inside.forget(name)


def run(image, root, verdict):
    """Runs the image."""
    import containers

    config, _ = containers.configuration(image)
    files = containers.HOME / "files"
    files.mkdir(exist_ok=True)
    (files / "hosts").write_text("127.0.0.1 localhost gateway.hosts.test\n")
    (files / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    names = [("/etc/hosts", files / "hosts"), ("/etc/resolv.conf", files / "resolv.conf")]
    with containers.network() as net, dns(net):
        inside = containers.Containers(root, config, net)
        sandbox = ["GEMINI_GRPC_SANDBOX=true", "GEMINI_GRPC_DRAIN_DELAY=1"]
        with serving(inside, env=sandbox, files=names) as gateway:
            check_serving(inside, gateway, names, verdict)
            code = gateway.stop()
        verdict.check("SIGTERM ends it with exit code 0", code == 0, code)
        code, printed = inside.run("serve", env=["MOUNTSEA_API_KEY=a-key"], files=names)
        refused = code == 2 and "GEMINI_GRPC_AUTH" in printed
        verdict.check("it does not start with a key but without authentication", refused, first_line(printed))
        check_trust(inside, files, names, verdict)


def check_serving(inside, gateway, names, verdict):
    import containers

    check = verdict.check
    check("it serves at the address of its variable", gateway.address == "0.0.0.0:50051", gateway.address)
    code, printed = inside.execute(gateway.name, "/usr/bin/gemini-grpc", "healthcheck")
    check("healthcheck in the container, like a probe", (code, printed) == (0, "SERVING\n"), printed.strip())
    pid = inside.pid(gateway.name)
    status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    wanted = {"Uid": "65532", "Gid": "65532", "CapEff": "0" * 16, "CapBnd": "0" * 16, "NoNewPrivs": "1"}
    seen = {name: status[name].split()[0] for name in wanted}
    shown = " ".join(f"{name} {value}" for name, value in seen.items())
    check("its process has its user and no capabilities", seen == wanted, shown)
    for user, uid in [("its user", 65532), ("even root", 0)]:
        found = containers.writable(pid, uid)
        check(f"{user} can write no file", not found, " ".join(found) or "none")
    for host, known in [
        ("127.0.0.1", True),
        ("localhost", True),
        ("gateway.hosts.test", True),
        ("gateway.dns.test", True),
        ("unknown.test", False),
    ]:
        code, printed = inside.run("call", "--endpoint", f"http://{host}:50051", "hello", files=names)
        expected = (code == 0 and "[sandbox]" in printed) if known else code == 1
        check(f"a call to {host}" + ("" if known else " fails"), expected, first_line(printed))


def check_trust(inside, files, names, verdict):
    """Checks that it trusts only the certificate authorities in the image's file."""
    from certificates import Authority

    authority = Authority()
    _, certificate, key = authority.issue()
    for name, data in [("ca.pem", authority.pem()), ("none.pem", b""), ("cert.pem", certificate), ("key.pem", key)]:
        (files / name).write_bytes(data)
        # The container runs as another user, which must be able to read the key.
        (files / name).chmod(0o644)
    trusted, no_authorities = [(CA_BUNDLE, files / "ca.pem")], [(CA_BUNDLE, files / "none.pem")]
    identity = [("/tls/cert.pem", files / "cert.pem"), ("/tls/key.pem", files / "key.pem")]
    env = ["GEMINI_GRPC_SANDBOX=true", "GEMINI_GRPC_TLS_CERT=/tls/cert.pem", "GEMINI_GRPC_TLS_KEY=/tls/key.pem"]
    env += ["GEMINI_GRPC_DRAIN_DELAY=0", "GEMINI_GRPC_LISTEN=127.0.0.1:50052"]
    url = "https://localhost:50052"
    with serving(inside, env=env, files=names + identity):
        code, printed = inside.run("call", "--endpoint", url, "hello", files=names)
        unknown = code == 1 and "UnknownIssuer" in printed
        verdict.check("call refuses a server of an unknown authority", unknown, first_line(printed))
        code, printed = inside.run("call", "--endpoint", url, "hello", files=names + trusted)
        accepted = code == 0 and "[sandbox]" in printed
        verdict.check("call accepts it if the file has its authority", accepted, first_line(printed))
        code, printed = inside.run("call", "--endpoint", url, "hello", files=names + no_authorities)
        verdict.check("call without authorities: another error", code == 2 and "TLS" in printed, first_line(printed))
        code, printed = inside.run("serve", files=names + no_authorities)
        verdict.check("serve does not start without authorities", code == 1, first_line(printed))
        # This upstream is a gateway too, which answers over REST like Gemini.
        env = [f"GEMINI_GRPC_UPSTREAM_URL={url}", "GEMINI_GRPC_UPSTREAM_HTTP=2", "GEMINI_GRPC_DRAIN_DELAY=0"]
        env += ["GEMINI_GRPC_RETRIES=0", "GEMINI_GRPC_AUTH=none", "MOUNTSEA_API_KEY=a-key"]
        for what, bundle, expected in [
            ("serve refuses an upstream of an unknown authority", [], (1, "upstream cannot be reached")),
            ("serve accepts it if the file has its authority", trusted, (0, "[sandbox]")),
        ]:
            with serving(inside, env=env, files=names + bundle):
                code, printed = inside.run("call", "hello", files=names)
            verdict.check(what, code == expected[0] and expected[1] in printed, first_line(printed))


def emulate(emulator, root, verdict):
    """Runs the demo (a sandbox, a gateway and four calls in one process) in an emulator."""
    import containers

    words = [emulator, str(root / "usr/bin/gemini-grpc"), "demo", "--dir", str(containers.HOME / "demo")]
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    last = first_line("\n".join(reversed(done.stdout.splitlines())))
    verdict.check("the demo succeeds in an emulator", done.returncode == 0, last)


def first_line(printed):
    """The first line, short enough for a table."""
    lines = [re.sub(r"\s+", " ", line).strip() for line in printed.splitlines() if line.strip()]
    return (lines[0] if lines else "nothing")[:80]


def main(args):
    import containers
    from running import end_well
    from verdict import Verdict

    end_well()
    containers.HOME.mkdir(parents=True, exist_ok=True)
    verdict = Verdict()
    image = f"{IMAGE}:{args.arch}"
    build_arguments = build(args, image, verdict)
    with containers.mounted(image) as root:
        inspect_image(image, args.arch, root, build_arguments, verdict)
        if args.arch == own_architecture():
            run(image, root, verdict)
        elif emulator := shutil.which(f"qemu-{QEMU_NAMES[args.arch]}-static"):
            emulate(emulator, root, verdict)
    return verdict.end()


if __name__ == "__main__":
    parsed = arguments()
    tools.enter()
    raise SystemExit(main(parsed))
