"""What the program of each language in examples/ prints, and how it is run."""

import os
import re
import subprocess

from processes import ENVIRONMENT

# gRPC's default limit, which a picture of 4K exceeds.
DEFAULT_LIMIT = 4 << 20
UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
LINES = [
    r'text: (?P<text>\[sandbox\] You said "Why is the sky blue\?"\. .+)',
    r"stream: (?P=text)",
    r"picture: lighthouse\.png, image/png, (?P<picture>\d+) bytes",
    r"edited: lighthouse-night\.png, image/png, (?P<edited>\d+) bytes",
    r"tool: get_weather",
    r"tool answer: \S.+",
    r"deadline: DEADLINE_EXCEEDED",
    r"cancel: CANCELLED",
    r"refused: INVALID_ARGUMENT, REQUEST_INVALID",
    r"  generation_config\.temperature: a temperature is from 0 to 2",
    r"  generation_config\.top_p: \S.+",
    rf"  request id: {UUID}",
    r"busy: RESOURCE_EXHAUSTED, [A-Z_]+, retry in 3\.5 s",
    r"blocked: PROHIBITED_CONTENT",
    r"usage: 5 tokens in, 27 tokens out",
]


def run(*command, cwd=None, timeout=600, **environment):
    """The output of a command that must succeed. It gets none of the tests' settings."""
    environment = {**ENVIRONMENT, "no_proxy": os.environ["no_proxy"], **environment}
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=timeout
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))}\nexit code {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def check(command, gateway, folder, environment):
    """Runs a program in a new folder against one gateway, and verifies what it prints, saves and cancels."""
    folder.mkdir(parents=True)
    gateway.relay.forget()
    arguments = [gateway.endpoint, gateway.key, *([gateway.ca] if gateway.ca else [])]
    printed = run(*command, *arguments, cwd=folder, **environment)
    lines, values = printed.splitlines(), {}
    for pattern, line in zip(LINES, lines):
        # A later line may repeat the value of an earlier one.
        for name, value in values.items():
            pattern = pattern.replace(f"(?P={name})", re.escape(value))
        matched = re.fullmatch(pattern, line)
        assert matched, f"expected: {pattern}\nprinted:  {line}\n\n{printed}"
        values.update(matched.groupdict())
    assert len(lines) == len(LINES), printed
    first, second = (folder / name for name in ("lighthouse.png", "lighthouse-night.png"))
    for picture, size in ((first, values["picture"]), (second, values["edited"])):
        assert picture.read_bytes().startswith(b"\x89PNG\r\n\x1a\n"), picture
        assert picture.stat().st_size == int(size) > DEFAULT_LIMIT, picture
    assert first.read_bytes() != second.read_bytes()
    gateway.relay.wait_for_cancel()
    gateway.relay.wait_for_later()
