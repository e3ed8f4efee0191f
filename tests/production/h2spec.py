"""All cases of h2spec, the conformance tests of HTTP/2, against a gateway.

The path is that of the health check, since it answers without anything behind it. Cases that are known to fail, and
why they do, are in README.md; any other that fails makes this fail.
"""

import argparse
import subprocess
import xml.etree.ElementTree as xml

import tools

PATH = "/grpc.health.v1.Health/Check"
# README.md says why.
KNOWN = {
    "http2/4.2: Sends a large size HEADERS frame that exceeds the SETTINGS_MAX_FRAME_SIZE",
    "http2/6.9.1: Sends multiple WINDOW_UPDATE frames increasing the flow control window to above 2^31-1 on a stream",
}
# A case that believes in a frame size of 16 KiB is run again with headers that are too large for the real one.
AGAIN = ["http2/4.2", "--max-header-length", 300_000]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--section", action="append", default=[], help="such as http2/6.9.1; all of them by default")
    parser.add_argument("--verbose", action="store_true", help="show the frames as well")
    return parser.parse_args()


class Case:
    """A case as it went."""

    def __init__(self, element):
        self.name = f"{element.get('package')}: {element.get('classname')}"
        self.skipped = element.find("skipped") is not None
        bad = [found for kind in ("failure", "error") for found in element.iter(kind)]
        self.said = bad[0].text.strip().splitlines() if bad else []
        # Go wraps the error of a connection that was reset; h2spec, which is older, does not unwrap it.
        reset = "Connection closed" in self.said[:-1] and self.said[-1].endswith("connection reset by peer")
        self.failed = bool(bad) and not reset

    def outcome(self):
        return "as known" if self.name in KNOWN else "NEW"


def run(program, port, *flags):
    """Runs h2spec, and hands over the cases and what it said."""
    report = tools.scratch("h2spec-report") / "report.xml"
    command = [program, "-h", "127.0.0.1", "-p", port, "-P", PATH, "-S", "-o", 3, "-j", report, *flags]
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
        cases, said = run(program, server.port, *args.section, *verbose)
        again, _ = run(program, server.port, *AGAIN)
        verdict.check("the gateway lives", server.lives(), "yes" if server.lives() else "no")
        server.process.process.terminate()
        code = server.wait(60)
    if args.verbose:
        tools.say(said)
    failed = [case for case in cases if case.failed]
    skipped = [case for case in cases if case.skipped]
    tools.say("")
    table(("case", "", "what came"), *[(case.name, case.outcome(), case.said[-1]) for case in failed])
    for case in skipped:
        tools.say(f"  skipped: {case.name}")
    passed = len(cases) - len(failed) - len(skipped)
    tools.say(f"\n  {len(cases)} cases: {passed} pass, {len(failed)} fail, {len(skipped)} are skipped")
    new = [case for case in failed if case.name not in KNOWN]
    verdict.check("h2spec ran", passed > 0, f"{len(cases)} cases")
    verdict.check("no case fails but those that are known", not new, f"{len(new)} fail")
    wrong = [case for case in again if case.failed and "large size HEADERS" in case.name]
    verdict.check("headers over the real frame size are refused", not wrong, f"{len(wrong)} fail")
    verdict.check("the gateway ends with 0", code == 0, code)
    return verdict.end()


if __name__ == "__main__":
    parsed = arguments()
    tools.enter()
    raise SystemExit(main(parsed))
