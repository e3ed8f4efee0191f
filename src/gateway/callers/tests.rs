//! Callers: how they are identified, and what they may use.

/// Limits of days and months, and the figures of usage.
mod budgets;

use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::gateway::Error;
use crate::gemini::code::Code;
use crate::gemini::model::ModelName;
use crate::reason::Retry;
use crate::upstream::Keys;

fn file(rows: &[(&str, &str)]) -> String {
    let row = |(name, rest): &(&str, &str)| {
        let hash = TokenHash::of(&format!("token of {name}")).to_hex();
        format!("[callers.{name}]\ntoken_sha256 = '{hash}'\nsan = '{name}.internal'\n{rest}\n")
    };
    rows.iter().map(row).collect()
}

fn callers(rows: &[(&str, &str)]) -> Callers {
    Callers::from_toml(&file(rows)).unwrap()
}

/// A caller with these limits, and the time from which it has used nothing.
fn caller(limits: &str) -> (Arc<Caller>, Instant) {
    (callers(&[("a", limits)]).by_token("token of a").unwrap().clone(), Instant::now())
}

/// A call that goes upstream and ends at once.
fn call(caller: &Arc<Caller>, now: Instant) -> Result<(), Exceeded> {
    caller.admit(now).map(|mut permit| permit.spend_call(now))
}

/// That many tokens, and nothing else.
fn tokens(tokens: u64) -> Spent {
    Spent { tokens, ..Spent::default() }
}

fn quota<T: std::fmt::Debug>(result: Result<T, Exceeded>) -> (Quota, u64, Duration) {
    let exceeded = result.unwrap_err();
    assert_eq!(&*exceeded.caller, "a");
    (exceeded.quota, exceeded.limit, exceeded.retry_after)
}

#[test]
fn each_is_found_by_its_own_token() {
    let callers = callers(&[("a", ""), ("b", ""), ("c", "")]);
    for name in ["a", "b", "c"] {
        assert_eq!(&*callers.by_token(&format!("token of {name}")).unwrap().name, name);
    }
    let hash = TokenHash::of("token of a").to_hex();
    for token in ["", "token of d", "token of a ", &hash] {
        assert!(callers.by_token(token).is_none(), "{token}");
    }
}

#[test]
fn either_token_of_two_is_good() {
    let [old, new] = ["old", "new"].map(|token| TokenHash::of(token).to_hex());
    let callers = Callers::from_toml(&format!("[callers.a]\ntoken_sha256 = ['{old}', '{new}']")).unwrap();
    assert!(callers.by_token("old").is_some() && callers.by_token("new").is_some());
}

#[test]
fn a_name_of_a_certificate_is_compared_letter_for_letter() {
    let callers = callers(&[("a", ""), ("b", "")]);
    let by_san = |sans: &[&str]| {
        let sans: Vec<San> = sans.iter().map(|san| San::Dns(san.to_string())).collect();
        callers.by_san(&sans).map(|caller| caller.name.to_string())
    };
    assert_eq!(by_san(&["other", "b.internal"]).as_deref(), Some("b"));
    assert_eq!(by_san(&["b.internal", "a.internal"]).as_deref(), Some("b"));
    for sans in [&[][..], &["A.internal"], &["*.internal"], &["a.internal."], &["x.a.internal"]] {
        assert_eq!(by_san(sans), None, "{sans:?}");
    }
}

#[test]
fn a_listed_name_matches_certificates_by_its_kind_only() {
    let callers = Callers::from_toml("[callers.a]\nsan = ['a.internal', 'spiffe://x/a']").unwrap();
    let knows = |san| callers.by_san(&[san]).is_some();
    assert!(knows(San::Dns("a.internal".into())) && knows(San::Uri("spiffe://x/a".into())));
    assert!(!knows(San::Uri("a.internal".into())) && !knows(San::Dns("spiffe://x/a".into())));
}

#[test]
fn connections_are_counted_until_their_permits_are_dropped() {
    let (caller, _) = caller("");
    let permit = caller.connect(1).unwrap();
    assert_eq!(quota(caller.connect(1)), (Quota::Connections, 1, Duration::from_secs(1)));
    drop(permit);
    caller.connect(1).unwrap();
}

#[test]
fn hashes_and_tokens_are_not_printed() {
    let callers = callers(&[("a", "")]);
    let printed = format!("{callers:?} {:?}", Auth::tokens(Callers::default()));
    let hash = TokenHash::of("token of a");
    assert!(!printed.contains(&hash.to_hex()[..8]) && printed.contains("***"), "{printed}");
}

#[test]
fn models_that_are_not_listed_are_not_allowed() {
    let model = |name| ModelName::parse(name).unwrap();
    let (few, _) = caller("models = ['gemini-2.5-*', 'gemini-3-pro']");
    assert!(few.allows(&model("gemini-2.5-flash")) && few.allows(&model("models/gemini-3-pro")));
    assert!(!few.allows(&model("gemini-3-pro-image-preview")));
    assert!(caller("").0.allows(&model("anything")));
}

#[test]
fn a_call_is_in_flight_until_its_permit_is_dropped() {
    let (caller, now) = caller("calls_in_flight = 2");
    let (first, second) = (caller.admit(now).unwrap(), caller.admit(now).unwrap());
    assert_eq!(quota(caller.admit(now)), (Quota::CallsInFlight, 2, Duration::from_secs(1)));
    drop(first);
    let third = caller.admit(now).unwrap();
    assert!(caller.admit(now).is_err());
    drop((second, third));
    assert!(caller.admit(now).is_ok());
}

#[test]
fn calls_per_minute_are_counted_and_come_back() {
    let (caller, now) = caller("calls_per_minute = 2");
    assert!(call(&caller, now).is_ok() && call(&caller, now).is_ok());
    let (which, limit, retry_after) = quota(caller.admit(now));
    assert_eq!((which, limit), (Quota::CallsPerMinute, 2));
    assert_eq!(retry_after, Duration::from_secs(30));
    assert!(call(&caller, now + retry_after).is_ok() && call(&caller, now + retry_after).is_err());
}

#[test]
fn a_call_that_is_refused_uses_nothing() {
    let (caller, now) = caller("calls_in_flight = 1\ncalls_per_minute = 2");
    let mut first = caller.admit(now).unwrap();
    first.spend_call(now);
    for _ in 0..9 {
        assert_eq!(quota(caller.admit(now)).0, Quota::CallsInFlight);
    }
    drop(first);
    assert!(call(&caller, now).is_ok());
    // Refused for its calls per minute, which gives the call in flight back.
    assert_eq!(quota(caller.admit(now)).0, Quota::CallsPerMinute);
    assert!(caller.admit(now + Duration::from_secs(60)).is_ok());
}

#[test]
fn a_call_that_is_refused_after_its_head_gives_its_call_per_minute_back() {
    let (caller, now) = caller("calls_per_minute = 2");
    let (first, second) = (caller.admit(now).unwrap(), caller.admit(now).unwrap());
    // They count while they are read, however long that takes.
    assert_eq!(quota(caller.admit(now + Duration::from_secs(300))).0, Quota::CallsPerMinute);
    drop((first, second));
    for _ in 0..9 {
        drop(caller.admit(now).unwrap());
    }
    // The second word changes nothing.
    let mut third = caller.admit(now).unwrap();
    third.spend_call(now);
    third.spend_call(now);
    drop(third);
    assert!(call(&caller, now).is_ok() && call(&caller, now).is_err());
}

#[test]
fn tokens_are_charged_as_they_grow_and_what_is_overspent_is_waited_for() {
    let (caller, now) = caller("tokens_per_minute = 60");
    let mut permit = caller.admit(now).unwrap();
    permit.spend(tokens(20), now);
    permit.spend(tokens(20), now);
    permit.spend(tokens(59), now);
    assert!(caller.admit(now).is_ok());
    permit.spend(tokens(90), now);
    // An upstream that says less at the end gives nothing back.
    permit.spend(tokens(10), now);
    drop(permit);
    assert_eq!(quota(caller.admit(now)), (Quota::TokensPerMinute, 60, Duration::from_secs(31)));
    assert!(caller.admit(now + Duration::from_secs(31)).is_ok());
}

#[test]
fn a_file_that_is_read_again_gives_no_caller_a_fresh_quota() {
    let limits = "calls_in_flight = 1\ncalls_per_minute = 4\ntokens_per_minute = 100";
    let before = callers(&[("a", limits), ("b", limits)]);
    let now = Instant::now();
    let a = before.by_token("token of a").unwrap();
    let mut permit = a.admit(now).unwrap();
    permit.spend_call(now);

    let after = callers(&[("a", limits), ("c", limits)]).carrying_usage_from(&before);
    let a = after.by_token("token of a").unwrap();
    assert_eq!(quota(a.admit(now)).0, Quota::CallsInFlight);
    assert!(after.by_token("token of b").is_none());
    assert!(after.by_token("token of c").unwrap().admit(now).is_ok());
    // The call of before is charged to the caller of now, and given back to it.
    permit.spend(tokens(100), now);
    drop(permit);
    assert_eq!(quota(a.admit(now)).0, Quota::TokensPerMinute);

    // A quarter of the calls is used, whatever the limit: 3 of 4 are left, and so 6 of 8.
    let more = callers(&[("a", "calls_per_minute = 8")]).carrying_usage_from(&after);
    let a = more.by_token("token of a").unwrap();
    let taken = (0..9).filter(|_| call(a, now).is_ok()).count();
    assert_eq!(taken, 6);
}

fn authenticate(
    auth: &Auth,
    key: Option<&str>,
    sans: &[&str],
) -> Result<(Option<String>, String, KeyOwner), AuthError> {
    let key = key.map(|key| key.parse::<Credential>().unwrap());
    let sans: Vec<San> = sans.iter().map(|san| San::listed(san)).collect();
    let admitted = auth.authenticate(key, &sans, Some(&Keys::One("own".parse().unwrap())))?;
    let caller = admitted.caller.map(|caller| caller.name.to_string());
    Ok((caller, admitted.keys.only().unwrap().expose().to_owned(), admitted.owner))
}

#[test]
fn whose_key_goes_upstream_depends_on_how_callers_are_known() {
    let row = |token: &str, san: &str| {
        let hash = TokenHash::of(token).to_hex();
        Callers::from_toml(&format!("[callers.a]\ntoken_sha256 = '{hash}'\nsan = '{san}'")).unwrap()
    };
    let (own, known) = (("own".to_owned(), KeyOwner::Gateway), Some("a".to_owned()));
    let ours = Ok((known, own.0.clone(), own.1));
    let tokens = Auth::tokens(row("gg_1", "a.internal")).unwrap();
    let mtls = Auth::certificates(row("gg_1", "a.internal")).unwrap();
    for (auth, key, sans, expected) in [
        (&Auth::Forward, Some("theirs"), &[][..], Ok((None, "theirs".to_owned(), KeyOwner::Caller))),
        (&Auth::Forward, None, &[], Ok((None, own.0, own.1))),
        (&tokens, Some("gg_1"), &[], ours.clone()),
        (&tokens, Some("gg_2"), &["a.internal"], Err(AuthError::UnknownToken)),
        (&tokens, None, &["a.internal"], Err(AuthError::NoToken)),
        (&mtls, Some("gg_1"), &["a.internal"], ours),
        (&mtls, Some("gg_1"), &["b.internal"], Err(AuthError::UnknownCertificate)),
        (&mtls, Some("gg_1"), &[], Err(AuthError::NoCertificate)),
    ] {
        assert_eq!(authenticate(auth, key, sans), expected, "{auth:?} {key:?} {sans:?}");
    }
    assert_eq!(Auth::Forward.authenticate(None, &[], None).unwrap_err(), AuthError::NoKey);
}

#[test]
fn every_caller_needs_what_it_is_known_by() {
    let hash = TokenHash::of("gg_1").to_hex();
    let text = format!("[callers.a]\ntoken_sha256 = '{hash}'\nsan = 'a'\n[callers.b]\nsan = 'b'");
    let both = || Callers::from_toml(&text).unwrap();
    let error = Auth::tokens(both()).unwrap_err().to_string();
    assert_eq!(error, "callers.b: token_sha256 is missing, which every caller needs when GEMINI_GRPC_AUTH is tokens");
    assert!(Auth::certificates(both()).is_ok());
    let token_only = Callers::from_toml(&format!("[callers.a]\ntoken_sha256 = '{hash}'")).unwrap();
    let error = Auth::certificates(token_only).unwrap_err().to_string();
    assert_eq!(error, "callers.a: san is missing, which every caller needs when GEMINI_GRPC_AUTH is mtls");
}

#[test]
fn reloading_keeps_the_mode_and_what_was_used() {
    let auth = Auth::tokens(callers(&[("a", "calls_per_minute = 1")])).unwrap();
    let admit = |auth: &Auth| {
        let admitted = auth.authenticate(Some("token of a".replace(' ', "_").parse().unwrap()), &[], None);
        assert_eq!(admitted.unwrap_err(), AuthError::UnknownToken);
        let Auth::Tokens(callers) = auth else { panic!("{auth:?}") };
        call(callers.by_token("token of a").unwrap(), Instant::now()).is_ok()
    };
    assert!(admit(&auth));
    let again = || Auth::tokens(callers(&[("a", "calls_per_minute = 1")])).unwrap();
    assert!(!admit(&again().carrying_usage_from(&auth)));
    assert!(admit(&again().carrying_usage_from(&Auth::Forward)));
    assert!(matches!(Auth::Forward.carrying_usage_from(&auth), Auth::Forward));
}

#[test]
fn a_call_is_admitted_if_its_caller_is_at_no_limit_and_may_use_the_model() {
    let (caller, now) = caller("models = ['gemini-2.5-*']\ncalls_in_flight = 1");
    let known = Admitted { caller: Some(caller), keys: Keys::One("own".parse().unwrap()), owner: KeyOwner::Gateway };
    let [flash, other] = ["gemini-2.5-flash", "gemini-3"].map(|name| ModelName::parse(name).unwrap());
    let error = known.allow(&other).unwrap_err();
    assert_eq!((error.row().code, error.row().reason), (Code::PermissionDenied, "MODEL_NOT_ALLOWED"));
    assert!(error.to_string().contains("the caller a may not use the model gemini-3;"), "{error}");
    known.allow(&flash).unwrap();
    let permit = known.enter(now).unwrap();
    assert!(permit.is_some());
    let error = known.enter(now).unwrap_err();
    assert_eq!((error.row().code, error.row().reason), (Code::ResourceExhausted, "CALLER_QUOTA_EXCEEDED"));
    assert_eq!(Error::Caller(error.clone()).retry(), Retry::After(Duration::from_secs(1)));
    assert!(
        error.to_string().starts_with("the caller a is at its limit of 1 calls in flight; try again in 1 s, "),
        "{error}"
    );
    let anybody = Admitted { caller: None, ..known };
    anybody.allow(&other).unwrap();
    assert!(anybody.enter(now).unwrap().is_none());
}

#[test]
fn the_file_in_the_documentation_can_be_used() {
    let page = include_str!("../../../docs/callers.md");
    let file = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let callers = Callers::from_toml(file).unwrap();
    assert!(callers.without_token().is_none());
    assert!(callers.by_san(&[San::Dns("team-a.internal".to_owned())]).is_some());
}

proptest! {
    /// However calls begin, spend and end: what is in flight is what holds a permit.
    #[test]
    fn calls_in_flight_are_those_that_hold_a_permit(
        limit in 1..5_usize,
        steps in proptest::collection::vec(proptest::option::of(0..8_usize), 0..60),
    ) {
        let (caller, now) = caller(&format!("calls_in_flight = {limit}"));
        let mut permits = Vec::new();
        for step in steps {
            match step {
                Some(index) if index < permits.len() => drop(permits.swap_remove(index)),
                _ => {
                    let admitted = caller.admit(now);
                    prop_assert_eq!(admitted.is_ok(), permits.len() < limit);
                    permits.extend(admitted);
                }
            }
        }
    }
}
