"""The image: built twice with the same digest, small, and able to run with nothing but itself.

It is built from the Dockerfile by buildah, on a builder that tests/cluster/builder.sh makes unless --builder names
another. Then runc runs it with a read-only root, as its own user, without capabilities, in a network that has only
loopback: it serves from its sandbox, is asked for health, called by names from /etc/hosts and from DNS, and asked to
end. An image for another architecture is built and looked at; its binary runs its demo where qemu-user-static is
installed.

It needs root, and from Debian: buildah, skopeo, runc, debootstrap, dnsmasq-base, iproute2. All files are in
target/image. A build takes some six minutes on two cores, for fat LTO.
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
import tools  # noqa: E402 (it is found by the line above)

IMAGE = "localhost/gemini-grpc"
MOST = 40_000_000
MACHINES = {"amd64": 62, "arm64": 183}
EMULATED = {"amd64": "x86_64", "arm64": "aarch64"}
ROOTS = "/etc/ssl/certs/ca-certificates.crt"
STAMPS = ["org.opencontainers.image.version", "org.opencontainers.image.revision", "org.opencontainers.image.created"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--builder", default="localhost/rust-builder", help="the image to build on; it has to be in the store")
    add("--arch", choices=sorted(MACHINES), default=own(), help="what to build for")
    add("--twice", action="store_true", help="build twice, and compare")
    add("--no-build", action="store_true", help="look at the image of the last time")
    return parser.parse_args()


def own():
    machine = subprocess.run(["uname", "-m"], capture_output=True, text=True, check=True).stdout.strip()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def git(*command):
    return subprocess.run(["git", *command], cwd=tools.ROOT, capture_output=True, text=True, check=True).stdout.strip()


def build(args, image, verdict):
    """Builds it, once or twice; hands over what was said of it."""
    import containers

    version = tomllib.loads((tools.ROOT / "Cargo.toml").read_text())["package"]["version"]
    created = int(git("log", "-1", "--format=%ct"))
    said = {
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
    seen = []
    for number in range(2 if args.twice else 1):
        log = containers.HOME / f"build-{args.arch}-{number + 1}.log"
        begun = time.monotonic()
        tools.say(f"building for {args.arch}: {log}")
        platforms = f"linux/{own()}", f"linux/{args.arch}"
        containers.build(image, args.builder, platforms, created, said, log)
        seen.append(containers.pushed(image)[1])
        tools.say(f"  {time.monotonic() - begun:.0f} s, {seen[-1]}")
    if args.twice:
        verdict.check("two builds have one digest", len(set(seen)) == 1, " ".join(digest[7:23] for digest in seen))
    return said


def look(image, arch, root, said, verdict):
    """What can be seen without running it."""
    import containers

    config, architecture = containers.configuration(image)
    manifest, digest = containers.pushed(image)
    files = [path for path in root.rglob("*") if path.is_file()]
    size, packed = sum(path.lstat().st_size for path in files), sum(layer["size"] for layer in manifest["layers"])
    check = verdict.check
    check("it is small, in bytes", size < MOST, f"{size:,}, as a registry keeps it {packed:,}")
    check("digest", True, digest)
    check("architecture", architecture == arch, architecture)
    names = sorted(str(path.relative_to(root)) for path in files)
    check("its files: no shell, no library", len(names) == 6, " ".join(sorted(path.name for path in files)))
    binary = (root / "usr/bin/gemini-grpc").read_bytes()
    machine, interpreter = elf(binary)
    check("the binary is static", machine == MACHINES[architecture] and not interpreter, f"{len(binary):,} bytes")
    check("it names no folder of the builder", b"/usr/local/cargo" not in binary, binary.count(b"/usr/local/cargo"))
    check("files of root that nobody else may change", all(owned(path) for path in files), f"{len(files)} files")
    check("user", config["User"] == "65532:65532", config["User"])
    check("entry point", config["Entrypoint"] == ["/usr/bin/gemini-grpc"], config["Entrypoint"])
    check("command", config["Cmd"] == ["serve"], config["Cmd"])
    check("stop signal", config.get("StopSignal") == "SIGTERM", config.get("StopSignal"))
    check("port", list(config["ExposedPorts"]) == ["50051/tcp"], " ".join(config["ExposedPorts"]))
    variables = [line.partition("=")[0] for line in config["Env"]]
    check("variables: no secrets", set(variables) <= {"PATH", "GEMINI_GRPC_LISTEN"}, " ".join(variables))
    labels = {name: value for name, value in config["Labels"].items() if name.startswith("org.opencontainers.image.")}
    wanted = {f"org.opencontainers.image.{name.lower()}": value for name, value in said.items()}
    stamped = {name: labels.get(name) for name in STAMPS}
    check("labels of what was built", stamped == wanted or not wanted, " ".join(map(str, stamped.values())))
    check("labels in all", len(labels) == 7, " ".join(sorted(name.rpartition(".")[2] for name in labels)))
    roots = (root / ROOTS[1:]).read_text().count("BEGIN CERTIFICATE")
    check("authorities", roots > 100, roots)


def elf(binary):
    """The machine that a binary is for, and whether it asks for a dynamic loader."""
    machine = struct.unpack_from("<H", binary, 18)[0]
    offset, entry, count = *struct.unpack_from("<Q", binary, 32), *struct.unpack_from("<HH", binary, 54)
    kinds = [struct.unpack_from("<I", binary, offset + entry * number)[0] for number in range(count)]
    return machine, 3 in kinds


def owned(path):
    status = path.lstat()
    return status.st_uid == status.st_gid == 0 and not status.st_mode & 0o022


@contextlib.contextmanager
def dns(net):
    """A DNS server in that network which knows one name."""
    from running import other

    words = ["--no-daemon", "--no-resolv", "--no-hosts", "--conf-file=/dev/null", "--pid-file="]
    words += ["--listen-address=127.0.0.1", "--bind-interfaces", "--host-record=gateway.dns.test,127.0.0.1"]
    with other("ip", "netns", "exec", net, "dnsmasq", *words, "--log-queries", "--local=/test/") as server:
        server.wait_for(lambda line: "started" in line)
        yield server


@contextlib.contextmanager
def serving(all_of_them, *more, **options):
    """The image with its own arguments, and a sandbox as upstream."""
    from processes import Process, address_in
    from running import end

    name, words = all_of_them.command(*more, **options)
    process = Process(*words, program="runc")
    try:
        process.name, process.address = name, process.wait_for(address_in)
        yield process
    finally:
        end(process)
        all_of_them.forget(name)


def run(image, root, verdict):
    """What it does."""
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
            serves(inside, gateway, names, verdict)
            code = gateway.stop()
        verdict.check("it ends with 0 at SIGTERM", code == 0, code)
        code, said = inside.run("serve", env=["MOUNTSEA_API_KEY=a-key"], files=names)
        refused = code == 2 and "GEMINI_GRPC_AUTH" in said
        verdict.check("with a key and open to all it does not start", refused, first_of(said))
        tls(inside, files, names, verdict)


def serves(inside, gateway, names, verdict):
    import containers

    check = verdict.check
    check("it serves where its variable says", gateway.address == "0.0.0.0:50051", gateway.address)
    code, said = inside.execute(gateway.name, "/usr/bin/gemini-grpc", "healthcheck")
    check("healthcheck, as a probe runs it", (code, said) == (0, "SERVING\n"), said.strip())
    pid = inside.pid(gateway.name)
    status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    wanted = {"Uid": "65532", "Gid": "65532", "CapEff": "0" * 16, "CapBnd": "0" * 16, "NoNewPrivs": "1"}
    seen = {name: status[name].split()[0] for name in wanted}
    check("its user, without rights", seen == wanted, " ".join(f"{name} {value}" for name, value in seen.items()))
    for who, uid in [("its user", 65532), ("even root", 0)]:
        found = containers.writable(pid, uid)
        check(f"{who} can write nowhere", not found, " ".join(found) or "nowhere")
    for host, known in [
        ("127.0.0.1", True),
        ("localhost", True),
        ("gateway.hosts.test", True),
        ("gateway.dns.test", True),
        ("nobody.test", False),
    ]:
        code, said = inside.run("call", "--endpoint", f"http://{host}:50051", "hello", files=names)
        good = (code == 0 and "[sandbox]" in said) if known else code == 1
        check(f"a call to {host}" + ("" if known else " fails"), good, first_of(said))


def tls(inside, files, names, verdict):
    """Whom it trusts: the file in the image and no other."""
    from certificates import Authority

    authority = Authority()
    _, certificate, key = authority.issue()
    for name, data in [("ca.pem", authority.pem()), ("none.pem", b""), ("cert.pem", certificate), ("key.pem", key)]:
        (files / name).write_bytes(data)
        # The key is of a test, and read by another user.
        (files / name).chmod(0o644)
    trusted, nobody = [(ROOTS, files / "ca.pem")], [(ROOTS, files / "none.pem")]
    shown = [("/tls/cert.pem", files / "cert.pem"), ("/tls/key.pem", files / "key.pem")]
    env = ["GEMINI_GRPC_SANDBOX=true", "GEMINI_GRPC_TLS_CERT=/tls/cert.pem", "GEMINI_GRPC_TLS_KEY=/tls/key.pem"]
    env += ["GEMINI_GRPC_DRAIN_DELAY=0", "GEMINI_GRPC_LISTEN=127.0.0.1:50052"]
    url = "https://localhost:50052"
    with serving(inside, env=env, files=names + shown):
        code, said = inside.run("call", "--endpoint", url, "hello", files=names)
        unknown = code == 1 and "UnknownIssuer" in said
        verdict.check("a certificate that none of them signed is refused", unknown, first_of(said))
        code, said = inside.run("call", "--endpoint", url, "hello", files=names + trusted)
        taken = code == 0 and "[sandbox]" in said
        verdict.check("with its authority in their place it is taken", taken, first_of(said))
        code, said = inside.run("call", "--endpoint", url, "hello", files=names + nobody)
        verdict.check("without any, it says another thing", code == 2 and "TLS" in said, first_of(said))
        code, said = inside.run("serve", files=names + nobody)
        verdict.check("nor does a gateway start without any", code == 1, first_of(said))
        # What serves there is no Gemini: that it answers at all shows that it was taken.
        env = [f"GEMINI_GRPC_UPSTREAM_URL={url}", "GEMINI_GRPC_UPSTREAM_HTTP=2", "GEMINI_GRPC_DRAIN_DELAY=0"]
        env += ["GEMINI_GRPC_RETRIES=0", "GEMINI_GRPC_AUTH=none", "MOUNTSEA_API_KEY=a-key"]
        for what, bundle, word in [
            ("nor is such an upstream called", [], "upstream cannot be reached"),
            ("with its authority in their place it is", trusted, "upstream answered HTTP 200"),
        ]:
            with serving(inside, env=env, files=names + bundle):
                code, said = inside.run("call", "hello", files=names)
            verdict.check(what, code == 1 and word in said, first_of(said))


def emulate(emulator, root, verdict):
    """A sandbox, a gateway and four calls, in one process."""
    import containers

    words = [emulator, str(root / "usr/bin/gemini-grpc"), "demo", "--dir", str(containers.HOME / "demo")]
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    verdict.check("its demo, emulated", done.returncode == 0, first_of("\n".join(reversed(done.stdout.splitlines()))))


def first_of(said):
    """The first line, short enough for a table."""
    lines = [re.sub(r"\s+", " ", line).strip() for line in said.splitlines() if line.strip()]
    return (lines[0] if lines else "nothing")[:80]


def main(args):
    import containers
    from running import end_well
    from verdict import Verdict

    end_well()
    containers.HOME.mkdir(parents=True, exist_ok=True)
    verdict = Verdict()
    image = f"{IMAGE}:{args.arch}"
    said = build(args, image, verdict)
    with containers.mounted(image) as root:
        look(image, args.arch, root, said, verdict)
        if args.arch == own():
            run(image, root, verdict)
        elif emulator := shutil.which(f"qemu-{EMULATED[args.arch]}-static"):
            emulate(emulator, root, verdict)
    return verdict.end()


if __name__ == "__main__":
    parsed = arguments()
    tools.enter()
    raise SystemExit(main(parsed))
