//! Random schedules, which run in the server and in the model at once.

use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::model::Model;
use super::{Server, runtime};
use crate::store::connection::Connection;
use crate::store::date::Day;
use crate::store::ledger::{CallId, Field, Held, Ledger, Part};
use crate::store::request::{Answer, Asked, Budget, Limits, Names, Period, Rates, Reply, Verdict};
use crate::store::script::{Invocation, Script};

/// 2026-11-30T23:50:00Z, so that schedules go on in the next day and month.
const START: u64 = 1_796_082_600_000_000;

/// What a schedule does next.
#[derive(Clone, Debug)]
enum Step {
    /// Time passes, in microseconds.
    Pass(u64),
    /// A pod asks for a call.
    Ask {
        pod: usize,
        fate: Fate,
    },
    /// A pod begins a call without asking.
    Share {
        pod: usize,
    },
    /// A call ends.
    End {
        call: usize,
        is_sent: bool,
    },
    /// A pod charges tokens to the rate and to the budgets.
    Charge {
        pod: usize,
        tokens: u64,
    },
    Renew {
        pod: usize,
    },
    Settle {
        pod: usize,
        fate: Fate,
    },
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Answered,
    /// It never arrives.
    RequestLost,
    /// It is executed, and the pod does not learn of it.
    ReplyLost,
    /// It is executed when the pod has given up.
    Late,
}

/// A schedule that runs in the model and in the server at once.
struct Run<'a> {
    connection: Connection,
    script: &'a Script,
    names: [Names; 2],
    ledgers: [Ledger; 2],
    limits: Limits,
    rates: Rates,
    model: Model,
    now: u64,
    /// The calls that are open, by their pod.
    open: Vec<(usize, CallId)>,
    next: CallId,
    charged: u64,
}

impl Run<'_> {
    /// Sends what a pod has to settle, and perhaps asks for a call.
    async fn send(&mut self, pod: usize, fate: Fate, call: Option<CallId>) -> Option<Answer> {
        let batches = self.ledgers[pod].send(match call {
            Some(_) => Part::Limits { has_budgets: !self.limits.budgets.is_empty() },
            None => Part::All,
        });
        if fate == Fate::RequestLost {
            return None;
        }
        let due = if fate == Fate::Late { self.now - 1 } else { self.now };
        let limits = self.limits.clone();
        let asked = call.map(|call| Asked { call, due, limits: &limits, day: Day::of(self.now) });
        for batch in &batches {
            self.model.settle(pod, batch, self.rates, self.now);
        }
        let (answer, even) = asked.map_or((None, 0), |asked| self.model.admit(pod, asked, self.now));
        let even = if answer.as_ref().is_some_and(|answer| answer.verdict == Verdict::Admitted) { even } else { 0 };

        let with = self.names[pod].invocation(self.now, self.rates, &batches, asked);
        let reply = Reply::read(self.script.run(&mut self.connection, &with).await.unwrap()).unwrap();
        let is_half_full = asked.is_some_and(|_| self.model.is_half_full);
        assert_eq!(reply, Reply { now: self.now, answer: answer.clone(), even, is_half_full });
        self.check_expiry(&with).await;
        if fate == Fate::ReplyLost {
            return None;
        }
        if let Some(last) = batches.last() {
            self.ledgers[pod].confirm(last.number);
        }
        if let Some(call) = call {
            match &answer {
                Some(Answer { verdict: Verdict::Admitted, .. }) => self.ledgers[pod].begin(call, Held::Leased { even }),
                Some(_) => self.ledgers[pod].refused(call),
                None => {}
            }
        }
        answer
    }

    /// Of a caller that never comes back, nothing is left in the end.
    async fn check_expiry(&mut self, with: &Invocation) {
        for key in with.keys() {
            let left = self.connection.query(redis::cmd("TTL").arg(&**key)).await.unwrap();
            assert_ne!(left, redis::Value::Int(-1), "{key}");
        }
    }

    async fn step(&mut self, step: &Step) {
        match *step {
            Step::Pass(time) => self.now += time,
            Step::Ask { pod, fate } => {
                self.next += 1;
                let call = self.next;
                self.ledgers[pod].begin(call, Held::Unclear);
                let answer = self.send(pod, fate, Some(call)).await;
                if answer.is_none_or(|answer| answer.verdict == Verdict::Admitted) {
                    self.open.push((pod, call));
                }
            }
            Step::Share { pod } => {
                self.next += 1;
                self.ledgers[pod].begin(self.next, Held::Unknown);
                self.open.push((pod, self.next));
            }
            Step::End { call, is_sent } if !self.open.is_empty() => {
                let (pod, call) = self.open.swap_remove(call % self.open.len());
                self.ledgers[pod].end(call, is_sent);
            }
            Step::End { .. } => {}
            Step::Charge { pod, tokens } => {
                self.ledgers[pod].charge(tokens);
                self.ledgers[pod].add(Day::of(self.now), Field::Total("tokens"), tokens);
                self.charged += tokens;
            }
            Step::Renew { pod } => self.ledgers[pod].renew(),
            Step::Settle { pod, fate } => drop(self.send(pod, fate, None).await),
        }
    }

    /// The numbers in the server, at the end.
    async fn found(&mut self, key: &str) -> Vec<(String, u64)> {
        let command = if key.ends_with("leases") {
            redis::cmd("ZRANGE").arg(key).arg(0).arg(-1).arg("WITHSCORES").take()
        } else {
            redis::cmd("HGETALL").arg(key).take()
        };
        let found: Vec<(String, f64)> =
            redis::from_redis_value(self.connection.query(&command).await.unwrap()).unwrap();
        found.into_iter().map(|(name, number)| (name, number as u64)).collect()
    }

    /// Once all is settled, nothing was lost and nothing counted twice, whatever was lost on the way.
    async fn check(&mut self, prefix: &str) {
        while let Some((pod, call)) = self.open.pop() {
            self.ledgers[pod].end(call, true);
        }
        for pod in 0..2 {
            while !self.ledgers[pod].is_settled() {
                self.send(pod, Fate::Answered, None).await;
            }
        }
        let months = [Day::of(START), Day::of(self.now)].map(|day| day.month().to_string());
        let mut used = 0;
        for month in months.iter().collect::<BTreeSet<_>>() {
            used += self.found(&format!("{prefix}month:{month}")).await.iter().map(|(_, amount)| amount).sum::<u64>();
        }
        assert_eq!(used, self.charged);
        let rates: HashMap<_, _> = self.found(&format!("{prefix}rates")).await.into_iter().collect();
        let rate = |name: &str| rates.get(name).copied().unwrap_or_default();
        let expected = (self.model.calls, self.model.tokens, self.model.returned);
        assert_eq!((rate("calls"), rate("tokens"), rate("returned")), expected);
        // A lease that the pod does not know of is of a call that it had given up, and it expires.
        // One that has expired stays until it would matter.
        let leases = self.found(&format!("{prefix}leases")).await;
        let held = leases.iter().filter(|(_, expiry)| *expiry > self.now).count();
        assert_eq!(held, self.model.leases.values().filter(|expiry| **expiry > self.now).count());
    }
}

fn fates() -> impl Strategy<Value = Fate> {
    prop_oneof![6 => Just(Fate::Answered), 1 => Just(Fate::RequestLost), 1 => Just(Fate::ReplyLost), 1 => Just(Fate::Late)]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let pass = prop_oneof![3 => 0..2_000_000_u64, 2 => 0..90_000_000_u64, 1 => Just(0)];
    let step = prop_oneof![
        3 => pass.prop_map(Step::Pass),
        6 => (0..2_usize, fates()).prop_map(|(pod, fate)| Step::Ask { pod, fate }),
        1 => (0..2_usize).prop_map(|pod| Step::Share { pod }),
        4 => (0..9_usize, proptest::bool::weighted(0.8)).prop_map(|(call, is_sent)| Step::End { call, is_sent }),
        2 => (0..2_usize, 1..200_u64).prop_map(|(pod, tokens)| Step::Charge { pod, tokens }),
        1 => (0..2_usize).prop_map(|pod| Step::Renew { pod }),
        3 => (0..2_usize, fates()).prop_map(|(pod, fate)| Step::Settle { pod, fate }),
    ];
    proptest::collection::vec(step, 1..30)
}

fn limits() -> impl Strategy<Value = Limits> {
    let limit = |most: u64| proptest::option::weighted(0.6, (1..most).prop_map(|limit| limit.try_into().unwrap()));
    let budget = (proptest::bool::ANY, 1..500_u64).prop_map(|(is_day, limit)| Budget {
        period: if is_day { Period::Day } else { Period::Month },
        field: "tokens",
        limit: limit.try_into().unwrap(),
    });
    (limit(4), limit(9), limit(400), proptest::collection::vec(budget, 0..3)).prop_map(
        |(calls_in_flight, calls_per_minute, tokens_per_minute, budgets)| Limits {
            calls_in_flight,
            calls_per_minute,
            tokens_per_minute,
            budgets,
        },
    )
}

#[test]
#[ignore = "needs redis-server"]
fn ten_thousand_schedules_agree_with_the_model() {
    let (runtime, server) = (runtime(), Server::start());
    let connection = runtime.block_on(server.connect());
    let script = Script::new(include_str!("../call.lua"));
    let numbers = AtomicU64::new(0);
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(10_000) });
    let schedules = (limits(), steps());
    let outcome = runner.run(&schedules, |(limits, steps)| {
        let caller = format!("caller-{}", numbers.fetch_add(1, Ordering::Relaxed));
        let per_minute = |limit: Option<NonZeroU64>| limit.map_or(0, NonZeroU64::get);
        let mut run = Run {
            connection: connection.clone(),
            script: &script,
            names: ["one", "two"].map(|pod| Names::new("test", &caller, &Arc::from(pod))),
            ledgers: Default::default(),
            rates: Rates {
                calls_per_minute: per_minute(limits.calls_per_minute),
                tokens_per_minute: per_minute(limits.tokens_per_minute),
            },
            limits,
            model: Model::default(),
            now: START,
            open: Vec::new(),
            next: 0,
            charged: 0,
        };
        runtime.block_on(async {
            for step in &steps {
                run.step(step).await;
            }
            run.check(&format!("test:{{{caller}}}:")).await;
        });
        Ok(())
    });
    outcome.unwrap();
}
