"""The profiles that releases are compiled with."""

import re
import subprocess

import check_binary
import pytest

PROFILES = sorted(check_binary.PROFILES.glob("*.profdata"))


@pytest.mark.parametrize("profile", PROFILES, ids=lambda path: path.stem)
def test_this_rust_can_read_the_profile(profile, tmp_path):
    source = tmp_path / "empty.rs"
    source.write_text("fn main() {}")
    command = ["rustc", "-O", f"-Cprofile-use={profile}", "--emit=llvm-ir", "--out-dir", tmp_path, source]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stderr == ""


@pytest.mark.parametrize("profile", PROFILES, ids=lambda path: path.stem)
def test_a_profile_is_of_functions_of_the_gateway_and_of_its_crates(profile):
    names = {name.decode() for name in check_binary.FUNCTION.findall(profile.read_bytes())}
    for crate in ("gemini_grpc", "hyper", "h2", "tokio", "reqwest"):
        assert any(f"{len(crate)}{crate}" in name or f"..{crate}.." in name for name in names), crate


def test_functions_of_other_versions_are_not_those_of_the_profile():
    (profile, *_) = [path.read_bytes() for path in PROFILES]
    assert check_binary.profiled(profile, profile) == 1
    other = re.sub(rb"17h[0-9a-f]{16}E", b"17h0123456789abcdefE", profile)
    assert check_binary.profiled(profile, other) < check_binary.MIN_PROFILED
    half = profile[: len(profile) // 2]
    assert 0 < check_binary.profiled(profile, half) < 1
