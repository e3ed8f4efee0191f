//! The table of errors in tests/golden/errors.tsv: HTTP status × body shape → what the caller is told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::time::SystemTime;

use serde_json::Value;

use super::{ErrorBody, Reply};

const NOW: &str = "Mon, 23 Nov 2026 08:00:00 GMT";
const KEY: &str = "sk-live-0123456789";

/// Takes the types of `google.rpc` that every client knows, and refuses a list that is none.
pub(super) fn encode(name: &str, detail: &Value) -> Option<Vec<u8>> {
    let known = [
        "ErrorInfo",
        "RetryInfo",
        "QuotaFailure",
        "BadRequest",
        "Help",
        "LocalizedMessage",
        "RequestInfo",
        "ResourceInfo",
        "PreconditionFailure",
    ];
    let is_known = known.contains(&name.strip_prefix("google.rpc.")?);
    let is_broken = detail.get("links").is_some_and(|links| !links.is_array());
    (is_known && !is_broken).then(|| detail.to_string().into_bytes())
}

/// Undoes `\n`, `\r`, `\xNN` and `\\`.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match (byte, byte == b'\\') {
            (byte, false) => byte,
            (_, true) => match rest.next().unwrap() {
                b'n' => b'\n',
                b'r' => b'\r',
                b'x' => {
                    let digits = [rest.next().unwrap(), rest.next().unwrap()];
                    u8::from_str_radix(str::from_utf8(&digits).unwrap(), 16).unwrap()
                }
                b'\\' => b'\\',
                other => panic!("no such escape: {other}"),
            },
        });
    }
    bytes
}

fn optional(field: &str) -> Option<&str> {
    (field != "-").then_some(field)
}

#[test]
fn every_row_of_the_table_is_told_as_it_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/errors.tsv");
    let table = fs::read_to_string(path).unwrap();
    let mut rows = 0;
    let mut wrong = Vec::new();
    for row in table.lines().filter(|row| !row.is_empty() && !row.starts_with('#')) {
        rows += 1;
        let fields: Vec<_> = row.split('\t').collect();
        let [status, content_type, retry_after, body, expected @ ..] = &fields[..] else {
            panic!("a row is cut: {row}")
        };
        let told = ErrorBody::read(
            &Reply {
                status: status.parse().unwrap(),
                content_type: optional(content_type),
                retry_after: optional(retry_after),
                body: &unescape(body),
                now: httpdate::parse_http_date(NOW).unwrap_or(SystemTime::UNIX_EPOCH),
                keys: &[KEY],
            },
            &encode,
        );
        let details: Vec<_> = told.details.iter().map(|any| any.type_url.rsplit('.').next().unwrap()).collect();
        let or_none = |text: String| {
            if text.is_empty() { "-".to_owned() } else { text }
        };
        let told = [
            told.code.as_str().to_owned(),
            told.retry_after.map_or("-".to_owned(), |delay| delay.as_millis().to_string()),
            if told.daily_quota { "daily" } else { "-" }.to_owned(),
            or_none(told.reason().unwrap_or_default().to_owned()),
            or_none(details.join(" ")),
            told.status.to_string(),
            told.message.replace('\n', "\\n"),
        ];
        if told != expected {
            wrong.push(format!("{row}\n    is told as {told:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(rows >= 80, "the table has lost rows: {rows}");
}
