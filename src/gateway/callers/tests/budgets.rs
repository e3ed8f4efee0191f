//! Limits of days and months, and the figures of usage.

use serde_json::{Value, json};

use super::*;
use crate::gemini::catalog::Catalog;
use crate::gemini::catalog::price::{Billable, Cost};
use crate::gemini::method::Method;
use crate::upstream::Keys;

fn generating() -> Method {
    Method::ALL.iter().copied().find(|method| method.generates()).unwrap()
}

/// The first second of 2026-11-30.
const DAY: u64 = 1_795_996_800;

/// A caller with these limits, and the time of day on 2026-11-30.
fn on_a_day(limits: &str) -> (Arc<Caller>, impl Fn(u64) -> Now) {
    let (caller, now) = caller(limits);
    (caller, move |second| Now::at(now, DAY + second))
}

fn dollars(dollars: f64) -> Spent {
    Spent { cost: Cost::from_dollars(dollars, 1e6).unwrap(), ..Spent::default() }
}

#[test]
fn a_budget_is_used_up_until_the_end_of_its_window() {
    let images = |images| Spent { images, ..Spent::default() };
    for (limit, spent, value, unit, name, until) in [
        ("tokens_per_day = 100", tokens(100), 100, "100 tokens per day", "tokens_per_day", "2026-12-01T00:00:00Z"),
        ("tokens_per_month = 7", tokens(90), 7, "7 tokens per month", "tokens_per_month", "2026-12-01T00:00:00Z"),
        ("images_per_day = 2", images(2), 2, "2 images per day", "images_per_day", "2026-12-01T00:00:00Z"),
        (
            "cost_per_day = 0.5",
            dollars(0.5),
            500_000_000,
            "0.5 dollars per day",
            "cost_per_day",
            "2026-12-01T00:00:00Z",
        ),
        (
            "cost_per_month = 9",
            dollars(9.5),
            9_000_000_000,
            "9 dollars per month",
            "cost_per_month",
            "2026-12-01T00:00:00Z",
        ),
    ] {
        let (caller, at) = on_a_day(limit);
        let mut permit = caller.admit(at(0)).unwrap();
        permit.spend(spent, at(82_800));
        let exceeded = caller.admit(at(82_800)).unwrap_err();
        assert_eq!((exceeded.quota.name(), exceeded.limit, exceeded.retry_after.as_secs()), (name, value, 3600));
        let text = format!("the caller a is at its limit of {unit} until {until}; try again in 3600 s, or ask this ");
        assert!(exceeded.to_string().starts_with(&text), "{exceeded}");
        assert_eq!(Error::Caller(exceeded.into()).retry(), Retry::Later(Duration::from_secs(3600)));
        // One second before its end, and then.
        assert_eq!(caller.admit(at(86_399)).unwrap_err().retry_after.as_secs(), 1);
        let mut next = caller.admit(at(86_400)).unwrap();
        // The call of the day before spends on, and that counts today.
        permit.spend(Spent { tokens: 1000, images: 1000, cost: Cost::from_nanos(u64::MAX) }, at(86_400));
        assert_eq!(caller.admit(at(86_400)).unwrap_err().quota.name(), name);
        next.spend(Spent { cost: Cost::from_nanos(u64::MAX), ..tokens(u64::MAX) }, at(86_400));
        assert!(caller.admit(at(86_400)).is_err());
    }
}

#[test]
fn a_call_is_admitted_as_long_as_anything_is_left_and_a_refused_one_uses_nothing() {
    let (caller, at) = on_a_day("cost_per_day = 1\ncost_per_month = 2\ncalls_per_minute = 2\ncalls_in_flight = 1");
    let mut permit = caller.admit(at(0)).unwrap();
    permit.spend_call(at(0).instant);
    permit.spend(dollars(0.999_999_999), at(0));
    drop(permit);
    let mut permit = caller.admit(at(0)).unwrap();
    permit.spend(dollars(1.5), at(0));
    // A smaller sum gives nothing back.
    permit.spend(dollars(0.1), at(0));
    drop(permit);
    (0..9).for_each(|_| assert_eq!(caller.admit(at(0)).unwrap_err().quota, Quota::CostPerDay));
    // The month has 2.5 dollars, so it is at its limit on the next day of the same month.
    let first = Now::at(at(0).instant, DAY - 86_400);
    let (caller, _) = on_a_day("cost_per_day = 1\ncost_per_month = 2");
    caller.admit(first).unwrap().spend(dollars(2.5), first);
    assert_eq!(caller.admit(first).unwrap_err().quota, Quota::CostPerDay);
    let exceeded = caller.admit(at(0)).unwrap_err();
    assert_eq!((exceeded.quota, exceeded.retry_after.as_secs()), (Quota::CostPerMonth, 86_400));
    assert!(caller.admit(at(86_400)).is_ok());
}

#[test]
fn a_reload_keeps_what_was_spent_also_for_a_budget_that_is_new() {
    let now = Now::at(Instant::now(), DAY);
    let used = CallUsage { answered: true, ..CallUsage::default() };
    for before in ["", "cost_per_day = 9"] {
        let before = callers(&[("a", before)]);
        let mut permit = before.by_token("token of a").unwrap().admit(now).unwrap();
        permit.spend(Spent { tokens: 7, ..dollars(1.0) }, now);
        permit.record(&"m".into(), &used, now);
        drop(permit);
        let after = callers(&[("a", "cost_per_day = 1\ntokens_per_month = 8")]).carrying_usage_from(&before);
        assert_eq!(quota(after.by_token("token of a").unwrap().admit(now)).0, Quota::CostPerDay);
        let more = callers(&[("a", "cost_per_day = 1.1\ntokens_per_month = 8")]).carrying_usage_from(&after);
        let a = more.by_token("token of a").unwrap();
        a.admit(now).unwrap().spend(tokens(1), now);
        assert_eq!(quota(a.admit(now)).0, Quota::TokensPerMonth);
    }
}

#[test]
fn usage_is_that_of_each_model_and_limit() {
    let limits = "calls_in_flight = 3\ncalls_per_minute = 60\ntokens_per_minute = 600\ntokens_per_day = 50\ncost_per_month = 2.5";
    let known = callers(&[("a", limits), ("b", "")]);
    let now = Now::at(Instant::now(), DAY);
    let call = |name: &str, model: &str, answered, input, cost, now: Now| {
        let mut permit = known.by_token(&format!("token of {name}")).unwrap().admit(now).unwrap();
        permit.spend_call(now.instant);
        let billable = Billable { input, cached_input: 1, output: 2, images: 3 };
        let cost = Cost::from_dollars(cost, 1e6).unwrap();
        permit.spend(Spent { tokens: billable.tokens(), images: 3, cost }, now);
        permit.record(&model.into(), &CallUsage { billable, cost, answered }, now);
        permit
    };
    // The day before.
    call("a", "m", true, 100, 0.25, Now::at(now.instant, DAY - 1));
    call("a", "m", true, 10, 0.5, now);
    let _open = call("a", "m", true, 10, 0.5, now);
    call("a", "a-name-that-may-be-anything", false, 10, 0.0, now);
    call("b", "other", true, 5, 0.0, now);
    let usage = serde_json::to_value(known.usage(now)).unwrap();
    let amounts = |calls: u64, input: u64, cost: f64| {
        json!({ "calls": calls, "input_tokens": input + calls, "cached_input_tokens": calls, "output_tokens": 2 * calls,
            "images": 3 * calls, "cost": cost })
    };
    let limit = |limit: &str, allowed: Value, used: Value, left: Value, resets_at: Option<&str>| {
        let mut row = json!({ "limit": limit, "allowed": allowed, "used": used, "left": left });
        if let Some(resets_at) = resets_at {
            row["resets_at"] = json!(resets_at);
        }
        row
    };
    let expected = json!([
        {
            "caller": "a",
            "calls_in_flight": 1,
            "limits": [
                limit("calls_in_flight", json!(3), json!(1), json!(2), None),
                limit("calls_per_minute", json!(60), json!(4), json!(56), None),
                limit("tokens_per_minute", json!(600), json!(142), json!(458), None),
                limit("tokens_per_day", json!(50), json!(39), json!(11), Some("2026-12-01T00:00:00Z")),
                limit("cost_per_month", json!(2.5), json!(1.25), json!(1.25), Some("2026-12-01T00:00:00Z")),
            ],
            "models": [
                { "model": "_other", "day": amounts(1, 10, 0.0), "month": amounts(1, 10, 0.0) },
                { "model": "m", "day": amounts(2, 20, 1.0), "month": amounts(3, 120, 1.25) },
            ],
        },
        {
            "caller": "b",
            "calls_in_flight": 0,
            "limits": [],
            "models": [{ "model": "other", "day": amounts(1, 5, 0.0), "month": amounts(1, 5, 0.0) }],
        },
    ]);
    assert_eq!(usage, expected);
    // In the next month nothing is left of it.
    let next = known.usage(Now::at(now.instant, DAY + 86_400));
    assert!(next[0].models.is_empty() && next[1].models.is_empty());
    assert_eq!(serde_json::to_value(next[0].limits[4].used).unwrap(), json!(0.0));
}

#[test]
fn the_models_of_a_caller_that_are_counted_apart_are_limited() {
    let known = callers(&[("a", "")]);
    let now = Now::at(Instant::now(), DAY);
    let used = CallUsage { answered: true, ..CallUsage::default() };
    for model in (0..400).chain(0..400) {
        let mut permit = known.by_token("token of a").unwrap().admit(now).unwrap();
        permit.record(&format!("model-{model}").into(), &used, now);
    }
    let models = &known.usage(now)[0].models;
    assert_eq!((models.len(), models[0].model.as_str(), models[0].day.calls), (101, "_other", 600));
    assert!(models[1..].iter().all(|model| model.day.calls == 2));
}

#[test]
fn a_caller_with_a_limit_of_cost_needs_the_price_of_a_model() {
    let text = "[[text_model]]\nids = ['priced']\nprices = { input = 0 }";
    let catalog = Catalog::default().extended(text).unwrap();
    let [priced, other] = ["priced", "other"].map(|name| ModelName::parse(name).unwrap());
    let of = |limits: &str| Admitted {
        caller: Some(caller(limits).0),
        keys: Keys::One("own".parse().unwrap()),
        owner: KeyOwner::Gateway,
    };
    for limits in ["cost_per_day = 1", "cost_per_month = 1"] {
        let limited = of(limits);
        for method in Method::ALL.iter().copied() {
            assert_eq!(limited.check_model(&priced, method, &catalog), Ok(()));
            let is_free = matches!(method, Method::CountTokens | Method::ListModels | Method::GetModel);
            assert_eq!(limited.check_model(&other, method, &catalog).is_ok(), is_free, "{method:?}");
        }
        let error = limited.check_model(&other, generating(), &catalog).unwrap_err();
        assert_eq!((error.row().code, error.row().reason), (Code::PermissionDenied, "MODEL_NOT_PRICED"));
        assert!(error.to_string().starts_with("the model other has no price here, "), "{error}");
    }
    for limits in ["", "tokens_per_day = 1\nimages_per_day = 1"] {
        assert_eq!(of(limits).check_model(&other, generating(), &catalog), Ok(()));
    }
    let not_allowed = of("models = 'priced'\ncost_per_day = 1");
    let error = not_allowed.check_model(&other, generating(), &catalog).unwrap_err();
    assert_eq!(error.row().reason, "MODEL_NOT_ALLOWED");
}
