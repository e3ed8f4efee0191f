"""Checks how figures are made of results. With a folder: checks the report of a run in it."""

import json
import pathlib
import sys
import unittest
import xml.etree.ElementTree as ElementTree

import figures
import page
import scenarios
import table

FOLDER = pathlib.Path(sys.argv.pop()) if len(sys.argv) > 1 else None
RATE = next(scenario for scenario in scenarios.OPEN_LOOP if scenario.name == "rate/500")
UNARY = scenarios.COST[0]


def latency(p50, late=1, count=2000, **more):
    latencies = {"count": count, "p50": p50, "p99": p50 * 2, "p999": p50 * 4}
    return {"latency_us": latencies, "late_us": {name: late for name in ("p50", "p99", "p999")},
            "planned": count, "errors": 0, "unfinished": 0, "calls_s": 500, **more}


def results(scenario, **rows):
    return figures.Results({"results": {scenario.name: rows}})


@unittest.skipIf(FOLDER, "the report of a run is checked")
class Figures(unittest.TestCase):
    def test_added_latency_is_the_difference_in_the_same_round(self):
        found = results(RATE, direct=[latency(100), latency(300)], gRPC=[latency(150), latency(370)])
        self.assertEqual(found.added(RATE, "gRPC", "latency_us", "p50"), figures.Figure(60, 50, 70))

    def test_a_latency_is_refused_where_the_load_was_late(self):
        found = results(RATE, gRPC=[latency(100, late=60), latency(100, late=60), latency(100)])
        self.assertEqual(found.quantile(RATE, "gRPC", "latency_us", "p50"), figures.LATE)
        self.assertEqual(found.quantile(RATE, "gRPC", "latency_us", "p99").median, 200)

    def test_a_quantile_is_refused_if_no_call_lies_beyond_it(self):
        found = results(RATE, gRPC=[latency(100, count=500)])
        self.assertEqual(found.quantile(RATE, "gRPC", "latency_us", "p999"), figures.FEW)

    def test_a_latency_is_refused_where_calls_failed_or_did_not_end(self):
        for missing in ({"errors": 30}, {"unfinished": 30}):
            found = results(RATE, gRPC=[latency(100, **missing)])
            self.assertEqual(found.quantile(RATE, "gRPC", "latency_us", "p50"), figures.SLOW)
            self.assertEqual(found.errors(RATE, "gRPC"), 30)

    def test_a_ratio_is_that_of_each_round(self):
        def cpu(*values):
            return [{"cpu": {"us_per_call": value}} for value in values]

        found = results(UNARY, nginx=cpu(10, 20, 10), gRPC=cpu(20, 60, 40))
        self.assertEqual(found.ratio(UNARY, "gRPC", "nginx"), figures.Figure(3, 2, 4))
        self.assertEqual(results(UNARY, nginx=cpu(1), gRPC=[{"failed": "x"}]).ratio(UNARY, "gRPC", "nginx"), figures.FAILED)


@unittest.skipUnless(FOLDER, "there is no report to check")
class Report(unittest.TestCase):
    def setUp(self):
        self.raw = json.loads((FOLDER / "report.json").read_text())

    def test_no_call_failed(self):
        self.assertEqual(list(table.errors(self.raw)), [])
        found = figures.Results(self.raw)
        for scenario in scenarios.LOADS:
            for row in found.rows(scenario):
                self.assertEqual(found.errors(scenario, row), 0, (scenario.name, row))

    def test_every_row_was_measured(self):
        measured = {row for rows in self.raw["results"].values() for row in rows}
        wanted = {"direct", "nginx", "gRPC", "REST", "gRPC-Web", "nginx TLS", "gRPC TLS"}
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


if __name__ == "__main__":
    unittest.main()
