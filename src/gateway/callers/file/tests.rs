//! Files of callers, good and bad.

use super::*;

/// What no error may show a part of.
const HASH: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn refused(text: &str) -> String {
    let error = parse(text).unwrap_err().to_string();
    assert!(!error.contains("0123") && !error.contains("SECRET") && !error.contains('\n'), "{error}");
    error
}

#[test]
fn a_file_with_everything_is_read() {
    let rows = parse(&format!(
        r#"
        [callers.team-a]
        token_sha256 = ["{HASH}", "{}"]
        san = ["spiffe://cluster/ns/a/sa/b", "team-a.internal"]
        models = ["gemini-2.5-*", "gemini-3-pro-image-preview"]
        calls_in_flight = 20
        calls_per_minute = 600
        tokens_per_minute = 200_000
        tokens_per_day = 5_000_000_000
        tokens_per_month = 1_000_000_000_000
        images_per_day = 500
        cost_per_day = 20
        cost_per_month = 400.50
        [callers."b.1"]
        token_sha256 = "{}"
        "#,
        HASH.replace('0', "1"),
        HASH.replace('0', "2").to_uppercase()
    ))
    .unwrap();
    let [b, a] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!((&*a.name, a.tokens.len(), a.tokens[0].to_hex().as_str()), ("team-a", 2, HASH));
    assert_eq!(a.sans, ["spiffe://cluster/ns/a/sa/b", "team-a.internal"].map(San::listed));
    assert_eq!(a.models.as_ref().unwrap().len(), 2);
    assert_eq!(a.limits.calls_in_flight.unwrap().get(), 20);
    assert_eq!(a.limits.calls_per_minute.unwrap().get(), 600);
    assert_eq!(a.limits.tokens_per_minute.unwrap().get(), 200_000);
    let budgets: Vec<_> = a.limits.budgets().map(|(budget, limit)| (budget.quota.name(), limit.get())).collect();
    assert_eq!(
        budgets,
        [
            ("tokens_per_day", 5_000_000_000),
            ("tokens_per_month", 1_000_000_000_000),
            ("images_per_day", 500),
            ("cost_per_day", 20_000_000_000),
            ("cost_per_month", 400_500_000_000),
        ]
    );
    assert!(a.limits.limits_cost() && !b.limits.has_budgets());
    assert_eq!((&*b.name, b.tokens.len(), b.limits), ("b.1", 1, CallerQuotas::default()));
    assert!(b.sans.is_empty() && b.models.is_none());
}

#[test]
fn a_wrong_value_is_named_by_line_caller_and_field_and_not_shown() {
    const NUMBER: &str = "a whole number from 1 to 1000000000 is expected";
    const DOLLARS: &str = "a number of dollars, more than 0 and at most 1000000, is expected";
    const TEXTS: &str = "a text or a list of texts is expected, and at least one";
    let short = &HASH[1..];
    for (field, value, says) in [
        ("token_sha256", format!("'{short}'"), "64 hex digits are expected"),
        ("token_sha256", format!("['{HASH}', '{short}-']"), "64 hex digits are expected"),
        ("token_sha256", "[]".into(), TEXTS),
        ("token_sha256", "123456789".into(), TEXTS),
        ("san", "['']".into(), "there are no patterns"),
        ("san", "['*.SECRET']".into(), "there are no patterns"),
        ("san", "['SECRET a']".into(), "there are no patterns"),
        ("san", "[1]".into(), TEXTS),
        ("models", "['SECRET*x']".into(), "a * may stand at its end"),
        ("models", "[]".into(), TEXTS),
        ("models", "true".into(), TEXTS),
        ("calls_in_flight", "0".into(), NUMBER),
        ("calls_per_minute", "-1".into(), NUMBER),
        ("calls_per_minute", "'SECRET'".into(), NUMBER),
        ("tokens_per_minute", "1.5".into(), NUMBER),
        ("tokens_per_minute", "1000000001".into(), NUMBER),
        ("tokens_per_day", "1000000000001".into(), "a whole number from 1 to 1000000000000 is expected"),
        ("images_per_day", "0.5".into(), "a whole number from 1 to 1000000000000 is expected"),
        ("cost_per_day", "0".into(), DOLLARS),
        ("cost_per_day", "0.0000000001".into(), DOLLARS),
        ("cost_per_day", "-1.5".into(), DOLLARS),
        ("cost_per_month", "1000001".into(), DOLLARS),
        ("cost_per_month", "inf".into(), DOLLARS),
        ("cost_per_month", "nan".into(), DOLLARS),
        ("cost_per_month", "'SECRET'".into(), DOLLARS),
        ("cost_per_month", "0x10".into(), DOLLARS),
        ("tokens", "'SECRET'".into(), "there is no such field; there are token_sha256, san, "),
    ] {
        let error = refused(&format!("[callers.a]\n\n{field} = {value}\n"));
        assert!(error.starts_with(&format!("line 3: callers.a.{field}: {says}")) || error.contains(says), "{error}");
        assert!(error.starts_with(&format!("line 3: callers.a.{field}: ")), "{error}");
    }
}

#[test]
fn a_secret_in_the_place_of_a_name_is_not_shown() {
    for (text, says) in [
        (format!("[callers.a]\n{HASH} = 1"), "line 2: callers.a.…: there is no such field"),
        (format!("[callers.x{HASH}]\nsan = 'a'"), "line 1: the name of a caller is 1 to 64 of "),
        ("[callers.SECRET]\nsan = 'a'".into(), "line 1: the name of a caller is 1 to 64 of "),
        ("MOUNTSEA_API_KEY = 'SECRET'".into(), "line 1: nothing but [callers.NAME] is expected here"),
        ("\nMOUNTSEA_API_KEY=SECRET".into(), "line 2: "),
        ("sk-SECRET".into(), "line 1: "),
        (format!("[callers.a]\ntoken_sha256 = {HASH}"), "line 2: "),
    ] {
        let error = refused(&text);
        assert!(error.starts_with(says), "{error}");
    }
}

#[test]
fn a_file_of_another_form_is_refused() {
    for (text, says) in [
        ("", "it names no callers; add one as [callers.NAME]"),
        ("[callers]", "it names no callers; add one as [callers.NAME]"),
        ("callers = 3", "line 1: nothing but [callers.NAME] is expected here"),
        ("[callers]\na = 3", "line 2: callers.a has to be a table: [callers.a]"),
        ("[callers.\"\"]", "line 1: the name of a caller is 1 to 64 of "),
        ("[callers.a]\n[callers.a]", "line 2: duplicate key"),
        ("[callers.team.a]\nsan = 'a'", "line 1: callers.team.a: there is no such field; a name with a dot is quoted"),
    ] {
        let error = refused(text);
        assert!(error.starts_with(says), "{error}");
    }
}

#[test]
fn what_proves_who_calls_belongs_to_one_caller() {
    for (value, field) in [(HASH, "token_sha256"), ("SECRET.internal", "san")] {
        let error = refused(&format!("[callers.a]\n{field} = '{value}'\n[callers.b]\n{field} = ['{value}']\n"));
        assert_eq!(error, format!("line 3: callers.b.{field}: one of them is already that of callers.a"));
    }
}
