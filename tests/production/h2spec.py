"""Runs all cases of h2spec, the conformance tests of HTTP/2, against a gateway.

They call the path of the health check, which needs no upstream. README.md lists the cases that are known to fail, and
explains why; if any other case fails, this script fails.
"""

import argparse
import subprocess
import xml.etree.ElementTree as xml

import tools

HEALTH_PATH = "/grpc.health.v1.Health/Check"
# README.md explains why these fail.
KNOWN_FAILURES = {
    "http2/4.2: Sends a large size HEADERS frame that exceeds the SETTINGS_MAX_FRAME_SIZE",
    "http2/6.9.1: Sends multiple WINDOW_UPDATE frames increasing the flow control window to above 2^31-1 on a stream",
}
# This section assumes a maximum frame size of 16 KiB, so it is run again with headers that exceed the gateway's real maximum.
RUN_WITH_LARGER_HEADERS = ["http2/4.2", "--max-header-length", 300_000]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--section", action="append", default=[], help="such as http2/6.9.1; all of them by default")
    parser.add_argument("--verbose", action="store_true", help="show the frames as well")
    return parser.parse_args()


class Case:
    """The result of a case."""

    def __init__(self, element):
        self.name = f"{element.get('package')}: {element.get('classname')}"
        self.skipped = element.find("skipped") is not None
        bad = [found for kind in ("failure", "error") for found in element.iter(kind)]
        self.message = bad[0].text.strip().splitlines() if bad else []
        # A reset connection is a valid outcome, but h2spec does not recognize it, because newer versions of Go wrap the error.
        reset = "Connection closed" in self.message[:-1] and self.message[-1].endswith("connection reset by peer")
        self.failed = bool(bad) and not reset

    def outcome(self):
        return "known" if self.name in KNOWN_FAILURES else "NEW"


def run(program, port, *flags):
    """Runs h2spec, and returns the cases and its output."""
    report = tools.scratch("h2spec-report") / "report.xml"
    command = [program, "-h", "127.0.0.1", "-p", port, "-P", HEALTH_PATH, "-S", "-o", 3, "-j", report, *flags]
    ran = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return [Case(element) for element in xml.parse(report).getroot().iter("testcase")], ran.stdout


def main(args):
    from running import end_well, gateway
    from verdict import Verdict, table

    end_well()
    verdict = Verdict()
    program = tools.h2spec()
    with gateway("--upstream-url", "http://127.0.0.1:9", env={"MOUNTSEA_API_KEY": "a-key"}) as server:
        verbose = ["-v"] if args.verbose else []
        cases, output = run(program, server.port, *args.section, *verbose)
        cases_with_larger_headers, _ = run(program, server.port, *RUN_WITH_LARGER_HEADERS)
        verdict.check("the gateway keeps running", server.is_running(), "yes" if server.is_running() else "no")
        server.process.process.terminate()
        code = server.wait(60)
    if args.verbose:
        tools.say(output)
    failed = [case for case in cases if case.failed]
    skipped = [case for case in cases if case.skipped]
    tools.say("")
    table(("failed case", "", "result"), *[(case.name, case.outcome(), case.message[-1]) for case in failed])
    for case in skipped:
        tools.say(f"  skipped: {case.name}")
    passed = len(cases) - len(failed) - len(skipped)
    tools.say(f"\n  {len(cases)} cases: {passed} pass, {len(failed)} fail, {len(skipped)} are skipped")
    new = [case for case in failed if case.name not in KNOWN_FAILURES]
    verdict.check("h2spec ran", passed > 0, f"{len(cases)} cases")
    verdict.check("only known cases fail", not new, f"{len(new)} others fail")
    wrong = [case for case in cases_with_larger_headers if case.failed and "large size HEADERS" in case.name]
    verdict.check("headers over the real frame size are refused", not wrong, f"{len(wrong)} fail")
    verdict.check("the gateway ends with 0", code == 0, code)
    return verdict.end()


if __name__ == "__main__":
    parsed = arguments()
    tools.enter()
    raise SystemExit(main(parsed))
