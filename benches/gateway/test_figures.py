"""Checks how figures, tables and pictures are made of results."""

import argparse
import contextlib
import io
import unittest
import xml.etree.ElementTree as ElementTree

import agreement
import figures
import measure
import page
import plots
import scenarios
import table

RATE = next(scenario for scenario in scenarios.OPEN_LOOP if scenario.name == "rate/500")
UNARY = scenarios.COST[0]


def latency(p50, late=1, count=2000, **more):
    latencies = {"count": count, "p50": p50, "p99": p50 * 2, "p999": p50 * 4}
    return {"latency_us": latencies, "late_us": {name: late for name in ("p50", "p99", "p999")},
            "planned": count, "errors": 0, "unfinished": 0, "calls_s": 500, **more}


def results(scenario, **rows):
    return figures.Results(raw(scenario, **rows))


def cpu(*values):
    return [{"cpu": {"us_per_call": value, "peak_mib": 1}, "calls_s": 1} for value in values]


def raw(scenario=UNARY, peers=(), **rows):
    """Raw results of one scenario, in which these rows are other gateways."""
    described = [
        {
            "name": name,
            "version": f"{name} 1.0",
            "about": "with defaults",
            "command": "",
            "protocol": "grpc" if "gRPC" in name else "gemini",
            "is_peer": name in peers,
        }
        for name in rows
    ]
    return {"facts": {"CPU": "<CPU>", "date": "2026-11-30 08:57 UTC"}, "command": "run.py", "rows": described,
            "results": {scenario.name: rows}}


class Figures(unittest.TestCase):
    def test_added_latency_is_the_difference_in_the_same_round(self):
        found = results(RATE, direct=[latency(100), latency(300)], gRPC=[latency(150), latency(370)])
        self.assertEqual(found.added(RATE, "gRPC", "latency_us", "p50"), figures.Figure(60, 50, 70))

    def test_calls_over_grpc_are_compared_with_calls_over_grpc(self):
        rows = {"direct": 100, "direct gRPC": 120, "gRPC": 150, "REST": 150}
        found = results(RATE, **{name: [latency(p50)] for name, p50 in rows.items()})
        added = [found.added(RATE, name, "latency_us", "p50").middle for name in ("direct gRPC", "gRPC", "REST")]
        self.assertEqual(added, [20, 30, 50])

    def test_a_latency_is_refused_where_the_load_was_late(self):
        found = results(RATE, gRPC=[latency(100, late=60), latency(100, late=60), latency(100)])
        self.assertEqual(found.quantile(RATE, "gRPC", "latency_us", "p50"), figures.LATE)
        self.assertEqual(found.quantile(RATE, "gRPC", "latency_us", "p99").middle, 200)

    def test_a_quantile_is_refused_if_no_call_lies_beyond_it(self):
        found = results(RATE, gRPC=[latency(100, count=500)])
        self.assertEqual(found.quantile(RATE, "gRPC", "latency_us", "p999"), figures.FEW)

    def test_a_latency_is_refused_where_calls_failed_or_did_not_end(self):
        for missing in ({"errors": 30}, {"unfinished": 30}):
            found = results(RATE, gRPC=[latency(100, **missing)])
            self.assertEqual(found.quantile(RATE, "gRPC", "latency_us", "p50"), figures.SLOW)
            self.assertEqual(found.errors(RATE, "gRPC"), 30)

    def test_a_ratio_is_the_geometric_mean_of_those_of_each_round(self):
        ratio = results(UNARY, nginx=cpu(10, 20, 10), gRPC=cpu(20, 80, 80)).ratio(UNARY, "gRPC", "nginx")
        self.assertAlmostEqual(ratio.middle, 4)
        self.assertEqual((ratio.low, ratio.high), (2, 8))
        failed = results(UNARY, nginx=cpu(1), gRPC=[{"failed": "x"}])
        self.assertEqual(failed.ratio(UNARY, "gRPC", "nginx"), figures.FAILED)

    def test_a_row_whose_processes_ended_has_no_cpu_time(self):
        self.assertEqual(results(UNARY, litellm=cpu(-3)).cpu(UNARY, "litellm"), figures.NONE)


class Tables(unittest.TestCase):
    def test_a_peer_is_compared_with_grpc_in_the_same_round(self):
        measured = raw(peers=["envoy"], nginx=cpu(1, 1, 1), gRPC=cpu(10, 20, 10), envoy=cpu(20, 80, 80))
        self.assertEqual(
            table.peer_table(measured), (["scenario", "envoy"], [["unary", "4.00 (2.00 to 8.00)"]])
        )
        for text in (table.markdown(measured), page.html(measured)):
            self.assertIn("4.00 (2.00 to 8.00)", text)
            self.assertIn("envoy: envoy 1.0; with defaults", text)

    def test_without_peers_there_is_no_comparison_with_them(self):
        measured = raw(nginx=cpu(1), gRPC=cpu(2))
        self.assertNotIn(table.PEERS_TITLE, table.markdown(measured) + page.html(measured))


class Rounds(unittest.TestCase):
    def args(self, rounds=None, seconds=0.5):
        return argparse.Namespace(rounds=rounds, seconds=seconds, warmup=0.2)

    def test_a_scenario_has_its_own_rounds_and_seconds(self):
        self.assertEqual(measure.rounds(self.args(), UNARY), (13, 0.5))
        self.assertEqual(measure.rounds(self.args(), RATE), (5, 2))

    def test_options_change_all_scenarios(self):
        self.assertEqual(measure.rounds(self.args(2, 1), UNARY), (2, 1))
        self.assertEqual(measure.rounds(self.args(2, 1), RATE), (2, 4))

    def test_a_slow_row_has_fewer_and_longer_rounds_in_a_closed_loop(self):
        self.assertEqual(measure.rounds(self.args(), UNARY, is_slow=True), (7, 1))
        self.assertEqual(measure.rounds(self.args(1), UNARY, is_slow=True), (1, 1))
        self.assertEqual(measure.rounds(self.args(), RATE, is_slow=True), (5, 2))


    def counts(self, scenario, args):
        """How often each row is measured. In every other round its CPU time is multiplied by the factor of the row, and in
        the others divided by it."""
        factors = {"nginx": 1, "steady": 1.01, "gRPC": 1.22, "noisy": 1.4, "noisy peer": 1.4, "slow peer": 1.4}
        bench = measure.Bench(args, None)
        bench.started = factors

        def load(scenario, row, _):
            number = len(bench.results.get(scenario.name, {}).get(row.name, []))
            (result,) = cpu(10 * factors[row.name] ** (-1) ** number)
            return result

        bench.load = load
        rows = [
            argparse.Namespace(name=name, is_peer="peer" in name, is_slow="slow" in name, runs=lambda _: True)
            for name in factors
        ]
        with contextlib.redirect_stdout(io.StringIO()):
            bench.loads(rows, [scenario])
        return {name: len(rounds) for name, rounds in bench.results[scenario.name].items()}

    def test_own_rows_and_nginx_are_measured_until_their_ratio_is_certain(self):
        expected = {"nginx": 40, "steady": 13, "gRPC": 21, "noisy": 40, "noisy peer": 13, "slow peer": 7}
        self.assertEqual(self.counts(UNARY, self.args()), expected)

    def test_open_loops_and_rounds_that_were_asked_for_have_no_more(self):
        self.assertEqual({*self.counts(RATE, self.args()).values()}, {5})
        self.assertEqual({*self.counts(UNARY, self.args(3)).values()}, {2, 3})

    def test_the_head_of_the_page_has_the_fewest_and_the_most_rounds(self):
        described = measure.describe_rounds(self.args(), [UNARY, RATE], [])
        self.assertIn("13 to 40 of 0.5 s: unary; 5 of 2 s: rate", described)
        self.assertNotIn(" to ", measure.describe_rounds(self.args(3), [UNARY, RATE], []))

    def test_the_table_has_the_rounds_of_each_row(self):
        measured = figures.Results(raw(nginx=cpu(1, 1, 1), gRPC=cpu(2, 2)))
        at = table.COLUMNS.index("rounds")
        self.assertEqual([line[at] for line in table.load_rows(measured)], ["3", "2"])


class Agreement(unittest.TestCase):
    def test_runs_agree_up_to_15_percent(self):
        text, agrees = agreement.agreement(
            raw(nginx=cpu(1), gRPC=cpu(100)), raw(nginx=cpu(10), gRPC=cpu(1149))
        )
        self.assertTrue(agrees, text)
        self.assertIn("Largest difference: 15 % (unary, gRPC).", text)

    def test_runs_disagree_in_both_directions(self):
        for before, now in ((100, 116), (116, 100)):
            text, agrees = agreement.agreement(
                raw(nginx=cpu(1), gRPC=cpu(before)), raw(nginx=cpu(1), gRPC=cpu(now))
            )
            self.assertFalse(agrees)
            self.assertIn("1 of 1 ratios differ by more than 15 %:\n- unary, gRPC: 16 %", text)

    def test_a_refused_ratio_is_shown_and_not_compared(self):
        first = raw(nginx=cpu(1), gRPC=cpu(2), REST=[{"failed": "x"}])
        text, agrees = agreement.agreement(first, raw(nginx=cpu(1), gRPC=cpu(2), REST=cpu(9)))
        self.assertTrue(agrees)
        self.assertIn("| unary | REST | failed | 9.00 | – | not compared |", text)

    def test_a_ratio_of_an_open_loop_is_shown_and_not_judged(self):
        first, second = raw(nginx=cpu(1), gRPC=cpu(2)), raw(nginx=cpu(1), gRPC=cpu(2))
        for measured, value in ((first, 2), (second, 4)):
            measured["results"][RATE.name] = {"nginx": cpu(1), "gRPC": cpu(value)}
        text, agrees = agreement.agreement(first, second)
        self.assertTrue(agrees, text)
        self.assertIn("| rate/500 | gRPC | 2.00 | 4.00 | 100 | open loop |", text)

    def test_runs_without_a_common_ratio_do_not_agree(self):
        self.assertFalse(
            agreement.agreement(raw(nginx=cpu(1), gRPC=cpu(2)), raw(nginx=cpu(1), REST=cpu(2)))[1]
        )


class Costs(unittest.TestCase):
    def test_the_picture_is_a_file_of_its_own_with_a_bar_and_a_number_for_each_row(self):
        measured = raw(nginx=cpu(14), gRPC=cpu(51), litellm=cpu(12_345), envoy=[{"failed": "x"}])
        root = ElementTree.fromstring(plots.costs(measured))
        self.assertEqual(root.tag, "{http://www.w3.org/2000/svg}svg")
        words = ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]
        for word in ("14.0", "51.0", "12,345", "10", "100,000", "gemini-grpc, gRPC"):
            self.assertIn(word, words)
        bars = [float(bar.get("width")) for bar in root.iter("{http://www.w3.org/2000/svg}rect")]
        self.assertEqual(len(bars), 3)
        self.assertEqual(bars, sorted(bars))

    def test_no_picture_is_made_without_a_figure(self):
        with self.assertRaisesRegex(ValueError, "no CPU time"):
            plots.costs(raw(nginx=[{"failed": "x"}]))


if __name__ == "__main__":
    unittest.main()
