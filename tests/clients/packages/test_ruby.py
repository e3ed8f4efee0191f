"""The gem, as `clients/build ruby` builds it, with Debian's gRPC."""

import pytest

from attempts import ATTEMPTS, ENDS, MODELS, counting_server
from processes import ROOT
from tour import run

BUILT = ROOT / "target/clients/ruby"


@pytest.fixture(scope="module")
def gems(tmp_path_factory):
    """A folder in which the gem is installed, next to the system's gems."""
    folder = tmp_path_factory.mktemp("gems")
    run("gem", "install", "--local", "--no-document", *BUILT.glob("*.gem"), GEM_HOME=str(folder))
    return folder


def test_all_generated_code_is_valid(gems):
    files = list(gems.rglob("mountsea/gemini/v1/*.rb"))
    assert len(files) > 10
    run("ruby", "-wc", *files)


def test_the_program_does_all_parts(gems, check_tour, tmp_path):
    check_tour(["ruby", ROOT / "examples/ruby/tour.rb"], tmp_path, GEM_HOME=str(gems))


# Prints how a call of each model ends; `begun` is a stream.
RETRIES = """
require 'mountsea/gemini'
address, *models = ARGV
gemini = Mountsea::Gemini.connect(address, 'k').generative
models.each do |model|
  request = Mountsea::Gemini::V1::GenerateContentRequest.new(model: model)
  model == 'begun' ? gemini.stream_generate_content(request).to_a : gemini.generate_content(request)
  puts 'OK'
rescue GRPC::BadStatus => e
  puts Mountsea::Gemini.explain(e).code
end
"""


def test_the_helper_retries_only_what_is_safe_to_retry(gems):
    with counting_server() as (address, attempts):
        assert run("ruby", "-e", RETRIES, address, *MODELS, GEM_HOME=str(gems)).splitlines() == ENDS
        assert attempts == ATTEMPTS


def test_a_new_user_gets_a_first_answer(check_snippet, tmp_path, tmp_path_factory):
    home = str(tmp_path_factory.mktemp("home"))
    check_snippet("ruby", "ruby", "first.rb", "ruby first.rb", tmp_path, BUILT.glob("*.gem"), GEM_HOME=home)


def test_two_builds_are_identical(check_rebuild):
    check_rebuild("ruby")
