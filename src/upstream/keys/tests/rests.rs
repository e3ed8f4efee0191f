//! Which errors of upstream rest a key, and for how long.

use super::*;

const MINUTE: u64 = 60_000;
/// The midnight in California after [`NOON`].
const MIDNIGHT: u64 = NOON + 20 * 60 * MINUTE;

const DAILY: &str = r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","details":[
    {"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"GenerateRequestsPerDayPerProject"}]},
    {"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"36s"}]}}"#;

#[test]
fn only_what_is_about_the_key_lets_it_rest() {
    let info =
        |reason: &str| format!(r#"{{"error":{{"details":[{{"reason":"{reason}","domain":"googleapis.com"}}]}}}}"#);
    let message = |text: &str| format!(r#"{{"error":{{"message":"{text}"}}}}"#);
    for (status, body) in [
        (401, String::new()),
        (402, String::new()),
        (429, String::new()),
        (429, message("The request exceeds your rate limit")),
        (400, info("API_KEY_INVALID")),
        (403, info("CONSUMER_SUSPENDED")),
        (403, info("BILLING_DISABLED")),
        (403, message("Your API key was reported as leaked. Please use another API key.")),
    ] {
        assert!(Rest::after(&refused(status, None, &body)).is_some(), "{status} {body}");
    }
    for (status, body) in [
        (400, String::new()),
        (400, message("User location is not supported for the API use.")),
        (400, message("the field 'api key expired' is unknown")),
        (403, String::new()),
        (403, message("The caller does not have permission to use the model")),
        (403, info("MODEL_NOT_ALLOWED")),
        (404, message("models/gemini-9 is not found")),
        (408, String::new()),
        (413, String::new()),
        (500, String::new()),
        (502, String::new()),
        (503, message("The model is overloaded. Please try again later.")),
        (504, String::new()),
    ] {
        assert_eq!(Rest::after(&refused(status, Some("1"), &body)), None, "{status} {body}");
    }
    for error in [Error::Connect("refused"), Error::NoAnswer, Error::NotTaken, Error::Cut, Error::Tls, Error::Header] {
        assert_eq!(Rest::after(&error), None, "{error:?}");
    }
}

#[test]
fn a_key_at_a_limit_rests_as_long_as_upstream_says() {
    let pool = pool(&[1, 1]);
    let info = r#"{"error":{"code":429,"details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"3.5s"}]}}"#;
    assert_eq!(rest_key(&pool, 0, rest(429, Some("7"), ""), NOON), (NOON + 7000, Some(1)));
    assert_eq!(rest_key(&pool, 1, rest(429, Some("7"), info), NOON), (NOON + 3500, Some(1)));
    assert_eq!(chosen(&pool, MODEL, NOON + 3499), Err(NOON + 3500));
    assert_eq!(chosen(&pool, MODEL, NOON + 3500), Ok(1));
    assert_eq!(chosen(&pool, "another-model", NOON + 3499), Err(NOON + 3500));
}

#[test]
fn without_a_delay_rests_grow_until_upstream_takes_the_key_again() {
    for (status, retry_after, seconds) in [
        (429, None, [1, 2, 4, 8, 16, 32, 60, 60]),
        (429, Some("0"), [1, 2, 4, 8, 16, 32, 60, 60]),
        (401, None, [60, 120, 240, 480, 960, 1920, 3600, 3600]),
        // A delay for a key that is refused says nothing.
        (402, Some("1"), [60, 120, 240, 480, 960, 1920, 3600, 3600]),
    ] {
        let (pool, mut now) = (pool(&[1, 1]), NOON);
        for (before, seconds) in seconds.into_iter().enumerate() {
            let (until, count) = rest_key(&pool, 0, rest(status, retry_after, ""), now);
            assert_eq!((until, count), (now + seconds * 1000, u32::try_from(before + 1).ok()), "{status}");
            now = until;
        }
        let (_, lease) = pool.choose(MODEL, Used::default().with(1), now, |_| 0).unwrap();
        assert_eq!(lease.pooled().state.answered(MODEL, now), status != 429);
        assert!(!lease.pooled().state.answered(MODEL, now));
        drop(lease);
        assert_eq!(rest_key(&pool, 0, rest(status, retry_after, ""), now).0, now + seconds[0] * 1000);
    }
}

#[test]
fn of_requests_that_are_refused_together_one_counts() {
    for status in [401, 429] {
        let pool = pool(&[1, 1]);
        let (_, lease) = pool.choose(MODEL, Used::default().with(1), NOON, |_| 0).unwrap();
        let key = lease.pooled();
        let counted: Vec<_> = std::thread::scope(|scope| {
            let refuse = || pool.rest(key, rest(status, None, ""), None, NOON).1;
            let threads: Vec<_> = (0..16).map(|_| scope.spawn(refuse)).collect();
            threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(counted, [1]);
        // One that was sent before the rest, and is answered in it, does not end it.
        assert!(!key.state.answered(MODEL, NOON + 1));
        assert!(chosen(&pool, MODEL, NOON + 1) == Ok(1) && key.state.until() > NOON + 1);
    }
}

#[test]
fn a_daily_quota_is_used_up_until_midnight_in_california() {
    let pool = pool(&[1, 1]);
    assert_eq!(rest_key(&pool, 0, rest(429, None, DAILY), NOON), (MIDNIGHT, Some(1)));
    assert_eq!(rest_key(&pool, 1, rest(429, None, DAILY), NOON + 1), (MIDNIGHT, Some(1)));
    assert_eq!(chosen(&pool, MODEL, MIDNIGHT - 1), Err(MIDNIGHT));
    assert!(chosen(&pool, MODEL, MIDNIGHT).is_ok());
}

#[test]
fn a_quota_of_a_model_leaves_the_key_to_other_models() {
    let pool = pool(&[1, 1]);
    assert_eq!(rest_key(&pool, 0, of_model(), NOON), (NOON + 30_000, Some(1)));
    assert_eq!(rest_key(&pool, 1, of_model(), NOON), (NOON + 30_000, Some(1)));
    assert_eq!(chosen(&pool, MODEL, NOON), Err(NOON + 30_000));
    assert!(chosen(&pool, "another-model", NOON).is_ok());
    assert_eq!(pool.resting(NOON).iter().map(|(_, seconds)| seconds).sum::<u64>(), 0);
    // Once upstream has taken the model again, it is forgotten.
    let (_, lease) = choose_for(&pool, MODEL, NOON + 30_000).unwrap();
    assert_eq!(lease.pooled().state.until_for(MODEL), NOON + 30_000);
    lease.pooled().state.answered(MODEL, NOON + 30_000);
    assert_eq!(lease.pooled().state.until_for(MODEL), 0);
    // Where one of several quotas is of all models, the key rests.
    let both = r#"{"error":{"details":[{"violations":[{"quotaId":"TokensPerMinutePerModel"},{"quotaId":"TokensPerMinute"}]}]}}"#;
    rest_key(&pool, 0, rest(429, Some("5"), both), NOON + 30_000);
    assert_eq!(pool.resting(NOON + 30_000)[0].1, 5);
}

#[test]
fn a_key_remembers_a_limited_number_of_models() {
    let pool = pool(&[1, 1]);
    let (_, lease) = pool.choose("", Used::default().with(1), NOON, |_| 0).unwrap();
    for number in 0..1000_u64 {
        let model = format!("model-{number}");
        pool.rest(lease.pooled(), of_model(), Some(&model.as_str().into()), NOON + number);
    }
    let resting = |number: u64| lease.pooled().state.until_for(&format!("model-{number}")) > 0;
    assert_eq!((0..1000).filter(|number| resting(*number)).collect::<Vec<_>>(), (936..1000).collect::<Vec<_>>());
}

#[test]
fn a_key_that_was_refused_is_tried_by_one_request_at_a_time() {
    let pool = pool(&[1, 1]);
    rest_key(&pool, 0, rest(401, None, ""), NOON);
    let later = NOON + MINUTE;
    let (_, busy) = pool.choose(MODEL, Used::default().with(0), later, |_| 0).unwrap();
    let (place, tries) = choose_for(&pool, MODEL, later).unwrap();
    assert_eq!(place, 0);
    // As long as that request has no answer, the other key is taken, busy as it is.
    let more: Vec<_> = (0..10).map(|_| choose_for(&pool, MODEL, later).unwrap()).collect();
    assert!(more.iter().all(|(place, _)| *place == 1));
    // Without another one it is used all the same.
    assert!(pool.choose(MODEL, Used::default().with(1), later, |_| 0).is_ok());
    // A request that is given up makes room for the next one to try.
    drop(tries);
    let (place, mut tries) = choose_for(&pool, MODEL, later).unwrap();
    assert_eq!(place, 0);
    assert!(tries.pooled().state.answered(MODEL, later));
    tries.tried();
    assert_eq!(chosen(&pool, MODEL, later), Ok(0));
    drop(busy);
}

#[test]
fn the_only_key_never_rests() {
    let pool = pool(&[1]);
    let (_, lease) = choose_for(&pool, MODEL, NOON).unwrap();
    pool.rest(lease.pooled(), rest(401, None, ""), None, NOON);
    assert_eq!((chosen(&pool, MODEL, NOON), pool.has_choice()), (Ok(0), false));
    assert_eq!(pool.resting(NOON)[0].1, 0);
}

#[test]
fn that_all_keys_are_refused_is_no_matter_of_waiting() {
    let pool = pool(&[1, 1]);
    rest_key(&pool, 0, rest(401, None, ""), NOON);
    rest_key(&pool, 1, rest(401, None, ""), NOON);
    let none = choose_for(&pool, MODEL, NOON).unwrap_err();
    assert_eq!(none, NoKey { until: NOON + MINUTE, all_refused: true });
    rest_key(&pool, 1, rest(429, Some("90"), ""), NOON + MINUTE);
    let (_, lease) = pool.choose(MODEL, Used::default().with(1), NOON + MINUTE, |_| 0).unwrap();
    lease.pooled().state.answered(MODEL, NOON + MINUTE);
    pool.rest(lease.pooled(), rest(429, Some("9"), ""), None, NOON + MINUTE);
    let none = choose_for(&pool, MODEL, NOON + MINUTE).unwrap_err();
    assert_eq!(none, NoKey { until: NOON + MINUTE + 9000, all_refused: false });
}
