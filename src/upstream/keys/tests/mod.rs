//! The choice of a key, against a model; reloads, and keys that gateways share.

use std::sync::Arc;

use proptest::prelude::*;

use super::super::error::Error;
use super::lease::KeyLease;
use super::pool::{KeyPool, NamedKey, NoKey, Used};
use super::refusal::Rest;
use crate::gemini::error_body::ErrorReply;
use crate::store::resting::Resting;

mod rests;

/// A time, in milliseconds since the epoch: 2026-11-30T12:00:00Z.
const NOON: u64 = 1_796_040_000_000;
const MODEL: &str = "gemini-2.5-flash";

/// Keys of these weights, with the names `k0`, `k1` and so on.
fn pool(weights: &[u32]) -> KeyPool {
    KeyPool::new(named(weights))
}

fn named(weights: &[u32]) -> Vec<NamedKey> {
    let key = |(place, weight): (usize, &u32)| NamedKey {
        name: format!("k{place}").into(),
        weight: *weight,
        key: format!("key-number-{place}").parse().unwrap(),
    };
    weights.iter().enumerate().map(key).collect()
}

fn refused(status: u16, retry_after: Option<&str>, body: &str) -> Error {
    let (body, now) = (body.as_bytes(), std::time::SystemTime::UNIX_EPOCH);
    Error::refused(&ErrorReply { status, content_type: None, retry_after, body, now, keys: &[] })
}

fn rest(status: u16, retry_after: Option<&str>, body: &str) -> Rest {
    Rest::after(&refused(status, retry_after, body)).unwrap()
}

/// A refusal for a quota of a model, with a delay of 30 s.
fn of_model() -> Rest {
    let body = r#"{"error":{"code":429,"details":[{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[
        {"quotaId":"GenerateRequestsPerMinutePerProjectPerModel-FreeTier","quotaDimensions":{"model":"gemini-2.5-flash"}}]},
        {"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"30s"}]}}"#;
    rest(429, None, body)
}

fn choose_for(pool: &KeyPool, model: &str, now: u64) -> Result<(usize, KeyLease), NoKey> {
    pool.choose(model, Used::default(), now, |below| fastrand::u32(..below))
}

/// The place of the key that is chosen when nothing else is in flight.
fn chosen(pool: &KeyPool, model: &str, now: u64) -> Result<usize, u64> {
    choose_for(pool, model, now).map(|(place, _)| place).map_err(|none| none.until)
}

fn rest_key(pool: &KeyPool, place: usize, rest: Rest, now: u64) -> (u64, Option<u32>) {
    // It is chosen for a call that has used all others.
    let used = (0..pool.resting(now).len()).filter(|other| *other != place).fold(Used::default(), Used::with);
    let (found, lease) = pool.choose(MODEL, used, now, |_| 0).unwrap();
    assert_eq!(found, place);
    pool.rest(lease.pooled(), rest, Some(&MODEL.into()), now)
}

/// What a test does with a pool.
#[derive(Clone, Debug)]
enum Step {
    /// A request is sent by a call that has used the keys of these bits.
    Send(u8),
    /// The request with this number, counted over those in flight, ends.
    End(usize),
    /// The key of the request with this number rests for this many seconds.
    Rest(usize, u64),
    /// Time passes, in milliseconds.
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..16_u8).prop_map(|used| Step::Send(if used < 8 { 0 } else { used })),
        3 => any::<usize>().prop_map(Step::End),
        2 => (any::<usize>(), 1..20_u64).prop_map(|(request, seconds)| Step::Rest(request, seconds)),
        2 => (1..5_000_u64).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..80)
}

proptest! {
    #[test]
    fn the_key_with_the_least_load_that_does_not_rest_is_chosen(
        weights in prop::collection::vec(prop_oneof![Just(1_u32), 1..=1000_u32], 2..6),
        steps in steps(),
    ) {
        let pool = pool(&weights);
        let mut now = NOON;
        let (mut in_flight, mut until) = (vec![0_u64; weights.len()], vec![0_u64; weights.len()]);
        let mut requests: Vec<(usize, KeyLease)> = Vec::new();
        for step in steps {
            match step {
                Step::Wait(millis) => now += millis,
                Step::End(_) | Step::Rest(..) if requests.is_empty() => {}
                Step::End(number) => {
                    let (place, _) = requests.swap_remove(number % requests.len());
                    in_flight[place] -= 1;
                }
                Step::Rest(number, seconds) => {
                    let (place, lease) = &requests[number % requests.len()];
                    pool.rest(lease.pooled(), rest(429, Some(&seconds.to_string()), ""), None, now);
                    until[*place] = until[*place].max(now + seconds * 1000);
                }
                Step::Send(bits) => {
                    let is_used = |place: usize| bits >> place & 1 == 1;
                    let used = (0..weights.len()).filter(|place| is_used(*place)).fold(Used::default(), Used::with);
                    let free: Vec<_> =
                        (0..weights.len()).filter(|place| !is_used(*place) && until[*place] <= now).collect();
                    match pool.choose(MODEL, used, now, |below| fastrand::u32(..below)) {
                        Ok((place, lease)) => {
                            prop_assert!(free.contains(&place));
                            for other in free {
                                let (this, that) = (u64::from(weights[place]), u64::from(weights[other]));
                                prop_assert!(in_flight[place] * that <= in_flight[other] * this);
                            }
                            in_flight[place] += 1;
                            requests.push((place, lease));
                        }
                        Err(none) => {
                            prop_assert!(free.is_empty());
                            prop_assert_eq!(none.until, until.iter().map(|until| *until.max(&now)).min().unwrap());
                            prop_assert!(!none.all_refused);
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn keys_without_load_are_chosen_at_random_by_their_weight() {
    let pool = pool(&[1, 3, 6]);
    let mut random = fastrand::Rng::with_seed(7);
    let mut counts = [0_u32; 3];
    for _ in 0..10_000 {
        let (place, _) = pool.choose(MODEL, Used::default(), NOON, |below| random.u32(..below)).unwrap();
        counts[place] += 1;
    }
    for (count, expected) in counts.into_iter().zip([1000, 3000, 6000]) {
        assert!(count.abs_diff(expected) < 200, "{counts:?}");
    }
}

#[test]
fn requests_that_stay_in_flight_are_spread_by_weight() {
    let pool = pool(&[1, 3, 6]);
    let requests: Vec<_> = (0..1000).map(|_| choose_for(&pool, MODEL, NOON).unwrap()).collect();
    let count = |place: usize| requests.iter().filter(|(used, _)| *used == place).count();
    assert_eq!([0, 1, 2].map(count), [100, 300, 600]);
}

#[test]
fn a_reload_keeps_what_is_known_of_the_keys_that_stay() {
    let before = pool(&[1, 1, 1]);
    let (place, lease) = choose_for(&before, MODEL, NOON).unwrap();
    rest_key(&before, (place + 1) % 3, rest(401, None, ""), NOON);
    // Another weight is the same key; another key of the same name is not.
    let mut keys = named(&[1, 1, 1]);
    keys.iter_mut().for_each(|key| key.weight = 5);
    keys[(place + 2) % 3].key = "another-key".parse().unwrap();
    rest_key(&before, (place + 2) % 3, rest(401, None, ""), NOON);
    let after = KeyPool::new(keys).carrying_state_from(&before);
    let resting: Vec<_> = after.resting(NOON).into_iter().map(|(_, seconds)| seconds).collect();
    let mut expected = [0; 3];
    expected[(place + 1) % 3] = 60;
    assert_eq!(resting, expected);
    // The request of the pool before still counts: the new key is chosen, and not the one that is in use.
    assert_eq!(chosen(&after, MODEL, NOON), Ok((place + 2) % 3));
    drop(lease);
    assert!((0..100).any(|_| chosen(&after, MODEL, NOON) == Ok(place)));
}

#[test]
fn gateways_that_share_a_table_let_the_same_keys_rest() {
    let table = Arc::new(Resting::default());
    let [here, there] = [(); 2].map(|()| pool(&[1, 1]).sharing(table.clone()));
    rest_key(&here, 0, rest(429, Some("20"), ""), NOON);
    rest_key(&here, 1, of_model(), NOON);
    // As the flusher does.
    let unsent = table.take_unsent();
    let named = |name: &str| unsent.iter().find(|(found, _)| &**found == name).map(|(_, until)| *until);
    assert_eq!(unsent.len(), 2);
    assert_eq!(named("k0"), Some(NOON + 20_000));
    assert_eq!(named("k1/gemini-2.5-flash"), Some(NOON + 30_000));
    table.replace(unsent.iter().map(|(name, until)| (name.to_string(), *until)));
    for pool in [&here, &there] {
        assert_eq!(chosen(pool, MODEL, NOON), Err(NOON + 20_000));
        assert_eq!(chosen(pool, "another-model", NOON), Ok(1));
        assert_eq!(chosen(pool, MODEL, NOON + 20_000), Ok(0));
    }
    assert_eq!(there.resting(NOON).iter().map(|(_, seconds)| *seconds).collect::<Vec<_>>(), [20, 0]);
}

#[test]
fn debug_output_has_names_and_no_key() {
    let pool = pool(&[1, 1]);
    let (_, lease) = choose_for(&pool, MODEL, NOON).unwrap();
    let shown = format!("{pool:?} {lease:?} {:?}", named(&[1]));
    assert!(shown.contains("k1") && !shown.contains("key-number"), "{shown}");
}
