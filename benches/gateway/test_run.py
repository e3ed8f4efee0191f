"""Makes two runs of seconds, and checks the report of one and how the other ends. Figures mean nothing.

`test_run.py FOLDER GATEWAY`
"""

import json
import pathlib
import signal
import subprocess
import sys
import unittest
import xml.etree.ElementTree as ElementTree

import figures
import page
import scenarios
import table

GATEWAY, FOLDER = sys.argv.pop(), pathlib.Path(sys.argv.pop())
ROWS = "direct*,nginx,gRPC,REST,gRPC-Web,*TLS"
SCENARIOS = "unary,tools,stream,image-out,rate/500,first-chunk,connections/8,tls/unary,idle"


def command(name, rows, chosen, *more):
    program = [sys.executable, "-B", pathlib.Path(__file__).with_name("run.py"), "--gateway", GATEWAY]
    outputs = ["--quick", "--json", FOLDER / f"{name}.json", "--html", FOLDER / f"{name}.html"]
    return [*map(str, [*program, "--seconds", 0.15, "--rows", rows, "--scenarios", chosen, *outputs, *more])]


class Report(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        more = ["--steps", "50,100", "--svg", FOLDER / "report.svg"]
        run = command("report", ROWS, SCENARIOS, *more)
        subprocess.run(run, check=True, capture_output=True, timeout=120)
        cls.raw = json.loads((FOLDER / "report.json").read_text())

    def test_no_call_failed(self):
        self.assertEqual(list(table.errors(self.raw)), [])
        found = figures.Results(self.raw)
        for scenario in scenarios.LOADS:
            for row in found.rows(scenario):
                self.assertEqual(found.errors(scenario, row), 0, (scenario.name, row))

    def test_every_row_was_measured(self):
        measured = {row for rows in self.raw["results"].values() for row in rows}
        wanted = {"direct", "direct gRPC", "nginx", "gRPC", "REST", "gRPC-Web", "nginx TLS", "gRPC TLS"}
        self.assertEqual(measured, wanted)
        steps = figures.Results(self.raw).idle_steps(scenarios.IDLE, "gRPC")
        self.assertEqual([step["streams"] for step in steps], [0, 50, 100])

    def test_the_page_has_plots_and_needs_no_other_file(self):
        text = (FOLDER / "report.html").read_text()
        self.assertEqual(text, page.html(self.raw))
        for word in ("http-equiv", "<script", "<link", "src=", "@import"):
            self.assertNotIn(word, text)
        charts = [chart.split("</svg>")[0] + "</svg>" for chart in text.split("<svg")[1:]]
        self.assertGreater(len(charts), 5)
        for chart in charts:
            ElementTree.fromstring("<svg" + chart)

    def test_the_picture_is_xml(self):
        ElementTree.parse(FOLDER / "report.svg")


class Interrupted(unittest.TestCase):
    def test_ctrl_c_saves_what_was_measured(self):
        # All of it takes half a minute, so that the signal comes in time on a busy machine too.
        run = command("interrupted", "nginx,gRPC", "unary,stream,flush,image-out,rate", "--rounds", 3)
        with subprocess.Popen(run, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
            for line in process.stdout:
                if line.startswith("  unary:"):
                    process.send_signal(signal.SIGINT)
                    break
            rest = process.stdout.read()
        self.assertEqual(process.returncode, 128 + signal.SIGINT)
        self.assertIn("interrupted: by Ctrl-C", rest)
        self.assertIn("| unary | gRPC |", rest)
        measured = json.loads((FOLDER / "interrupted.json").read_text())["results"]
        self.assertEqual(len(measured["unary"]["gRPC"]), 3)
        self.assertNotIn("rate/2000", measured)


if __name__ == "__main__":
    unittest.main()
