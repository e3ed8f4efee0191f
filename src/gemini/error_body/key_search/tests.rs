//! Keys are found in every form in which an upstream may echo them.

use std::time::SystemTime;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::table::encode;
use super::super::{ErrorBody, ErrorReply, redact};
use super::*;

const KEY: &str = "AQ.Ab8-RN6_Kx0~q";

/// The ASCII letters and digits of a text.
fn letters_of(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).collect()
}

/// Fails if six letters in a row of `form` are left in the redacted text.
#[track_caller]
fn assert_hidden(text: &str, form: &str, key: &str) {
    let redacted = redact(text, &[key]);
    assert!(redacted.contains("***"), "{text}: {redacted}");
    let (redacted, form) = (letters_of(&redacted), letters_of(form));
    let left = form.as_bytes().windows(6).find(|part| redacted.contains(str::from_utf8(part).unwrap()));
    assert_eq!(left, None, "{text}: {redacted}");
}

fn percent_encoded(key: &str, encoded: impl Fn(usize) -> bool, upper: bool) -> String {
    let byte = |(index, byte): (usize, u8)| match (encoded(index), upper) {
        (false, _) => char::from(byte).to_string(),
        (true, true) => format!("%{byte:02X}"),
        (true, false) => format!("%{byte:02x}"),
    };
    key.bytes().enumerate().map(byte).collect()
}

/// A key in all known forms, each with the letters that must not be left.
fn forms(key: &str) -> Vec<(String, String)> {
    let same = |form: String| (form.clone(), form);
    let each = |form: fn(u8) -> String| key.bytes().map(form).collect::<String>();
    let split = |between: &str| key.chars().map(String::from).collect::<Vec<_>>().join(between);
    let mut forms = vec![
        same(key.to_owned()),
        same(percent_encoded(key, |_| true, true)),
        same(percent_encoded(key, |_| true, false)),
        same(percent_encoded(key, |index| index % 3 == 1, false)),
        // Encoded twice.
        same(percent_encoded(key, |_| true, true).replace('%', "%25")),
        same(each(|byte| format!("\\u{byte:04x}"))),
        same(each(|byte| format!("\\\\u{byte:04X}"))),
        same(each(|byte| format!("\\x{byte:02x}"))),
        same(each(|byte| format!("&#{byte};"))),
        same(each(|byte| format!("&#x{byte:x};"))),
        same(each(|byte| format!("{byte:02x}"))),
        same(each(|byte| format!("{byte:02X} "))),
        same(each(|byte| format!("{byte:02x}:"))),
    ];
    for between in [" ", "\n", "\r\n  ", "\u{200b}", "\u{2060}\u{ad}", "-", "\" + \"", "', '", "\\n", "\",\"", "\t…"]
    {
        forms.push((split(between), key.to_owned()));
    }
    for before in ["", "a", "ab", "abc", "Bearer ", "Authorization: Bearer ", "{\"key\":\""] {
        for after in ["", "\"", "\r\nHost: x"] {
            let text = format!("{before}{key}{after}");
            for encoded in [
                base64_simd::STANDARD.encode_to_string(&text),
                base64_simd::STANDARD_NO_PAD.encode_to_string(&text),
                base64_simd::URL_SAFE.encode_to_string(&text),
            ] {
                let own = String::from_utf8(base64_of(key, before.len() % 3)).unwrap();
                let lines = encoded.as_bytes().chunks(7).map(|line| str::from_utf8(line).unwrap());
                forms.push((lines.collect::<Vec<_>>().join("\r\n"), own.clone()));
                forms.push((
                    percent_encoded(&encoded, |index| !encoded.as_bytes()[index].is_ascii_alphanumeric(), true),
                    own.clone(),
                ));
                forms.push((encoded, own));
            }
        }
    }
    forms
}

#[test]
fn a_key_is_found_in_every_form() {
    for (form, left) in forms(KEY) {
        for text in [form.clone(), format!("it was {form}, and no other"), format!("é=\"{form}\"")] {
            assert_hidden(&text, &left, KEY);
        }
    }
}

#[test]
fn a_text_without_a_key_is_not_changed() {
    for text in [
        "API key not valid. Please pass a valid API key.",
        "100% of a\\b & c; %zz %2 \\u12 &# &#x; &#99999999999; %25%25%25",
        "QVEuQWI4LVJONl9L",
        "",
    ] {
        assert_eq!(redact(text, &[KEY, "", "a-b", "+++"]), text);
    }
}

#[test]
fn a_short_key_is_found_only_in_its_plain_form() {
    assert_eq!(redact("a mine, m i n e, mi-ne", &["mine"]), "a ***, m i n e, mi-ne");
}

#[test]
fn a_key_that_appears_when_another_is_replaced_is_found_too() {
    let (start, end) = KEY.split_at(8);
    let text = format!("{start}{start}{KEY}{end}{end}");
    assert!(!letters_of(&redact(&text, &[KEY])).contains("Ab8RN6"));
}

fn read(body: &Value, status: u16, key: &str) -> ErrorBody {
    let body = body.to_string();
    let (now, keys) = (SystemTime::UNIX_EPOCH, &[key][..]);
    let reply = ErrorReply { status, content_type: None, retry_after: None, body: body.as_bytes(), now, keys };
    ErrorBody::read(&reply, &encode)
}

#[test]
fn a_key_is_redacted_anywhere_in_an_error() {
    let (start, end) = KEY.split_at(8);
    for (form, left) in forms(KEY).into_iter().chain([(KEY.to_owned(), KEY.to_owned())]) {
        for body in [
            json!({"error": {"message": form.clone()}}),
            json!({"error": {"status": form.clone()}}),
            json!({"error": {"type": form.clone()}}),
            json!({"message": ["no", form.clone()]}),
            json!({"error": {"message": "m", "details": [{"@type": form.clone(), form.clone(): {"a": [form.clone()]}}]}}),
            json!({"error": {"details": [{"@type": "x/google.rpc.ErrorInfo", "reason": form.clone(), "metadata": {form.clone(): form.clone()}}]}}),
            Value::String(form.clone()),
        ] {
            let error = read(&body, 400, KEY);
            let details: String =
                error.details.iter().map(|any| String::from_utf8_lossy(&any.value).into_owned()).collect();
            let shown = letters_of(&format!("{}{:?}{details}", error.message, error.info));
            let parts = letters_of(&left);
            let found = parts.as_bytes().windows(8).find(|part| shown.contains(str::from_utf8(part).unwrap()));
            assert_eq!(found, None, "{body}: {shown}");
        }
    }
    // Split over the elements of a list, the members of an object, and member names.
    for body in [
        json!({"message": [format!("no {start}"), end]}),
        json!({"message": ["key: AQ", ".Ab8-", "", "RN6_K", "x0~q"]}),
        json!({"error": {"message": "m", "details": [{"a": start, "b": end}, {"list": [start, [1, end]]}]}}),
        json!({"error": {"message": "m", "details": [{start: 1, end: "x"}, {start: end}]}}),
    ] {
        let error = read(&body, 400, KEY);
        let details: String =
            error.details.iter().map(|any| String::from_utf8_lossy(&any.value).into_owned()).collect();
        let shown = format!("{}{details}", error.message);
        assert!(shown.contains("***") && !shown.contains(start) && !shown.contains(end), "{body}: {shown}");
    }
}

#[test]
fn a_key_in_the_title_of_a_web_page_is_redacted() {
    for (form, left) in forms(KEY).into_iter().filter(|(form, _)| form.len() < 120) {
        let page = format!("<html><title>no {form}</title></html>");
        let (now, keys) = (SystemTime::UNIX_EPOCH, &[KEY][..]);
        let reply = ErrorReply { status: 502, content_type: None, retry_after: None, body: page.as_bytes(), now, keys };
        let (message, left) = (letters_of(&ErrorBody::read(&reply, &encode).message), letters_of(&left));
        let found = left.as_bytes().windows(8).find(|part| message.contains(str::from_utf8(part).unwrap()));
        assert_eq!(found, None, "{page}: {message}");
    }
}

#[test]
fn a_body_of_escapes_is_searched_in_linear_time() {
    // In quadratic time each of these would take hours.
    for piece in ["%25", "\\", "\\\\u", "\\\\u00", "&#", "&#x", "%", "&", "25", "AQ.Ab8-RN6_", "Bearer ", KEY] {
        let text = piece.repeat((1 << 20) / piece.len());
        assert!(find(&text, &[KEY]).len() <= text.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_key_is_found_in_every_form(
        key in "[A-Za-z0-9][A-Za-z0-9._~/+=-]{14,50}[A-Za-z0-9]",
        which in any::<prop::sample::Index>(),
        before in "[ -~é\u{200b}]{0,12} ",
        after in " [ -~é\u{200b}]{0,12}",
    ) {
        prop_assume!(letters_of(&key).len() >= 12);
        let forms = forms(&key);
        let (form, left) = which.get(&forms);
        let redacted = redact(&format!("{before}{form}{after}"), &[&key]);
        let (shown, left) = (letters_of(&redacted), letters_of(left));
        prop_assert!(redacted.contains("***"), "{form}");
        for part in left.as_bytes().windows(10) {
            let part = str::from_utf8(part).unwrap();
            prop_assert!(!shown.contains(part) || letters_of(&before).contains(part), "{} {}", form, redacted);
        }
    }

    #[test]
    fn ranges_are_in_order_and_at_character_boundaries(text in "\\PC{0,40}", key in "[!-~]{1,20}") {
        let text = format!("{text}{key}{text}");
        let found = find(&text, &[&key]);
        prop_assert!(!found.is_empty());
        prop_assert!(found.windows(2).all(|pair| pair[0].end < pair[1].start));
        prop_assert!(found.iter().all(|range| text.get(range.clone()).is_some_and(|part| !part.is_empty())));
    }
}
