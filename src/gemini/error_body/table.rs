//! Checks the table of errors in tests/golden/errors.tsv: for each HTTP status and body, what the caller gets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::time::SystemTime;

use serde_json::Value;

use super::{ErrorBody, ErrorReply};

const NOW: &str = "Mon, 23 Nov 2026 08:00:00 GMT";
const KEY: &str = "sk-live-0123456789";

/// Encodes the types of `google.rpc` that every client knows; fails if `links` is not a list.
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
fn every_row_of_the_table_is_read_as_expected() {
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
        let error = ErrorBody::read(
            &ErrorReply {
                status: status.parse().unwrap(),
                content_type: optional(content_type),
                retry_after: optional(retry_after),
                body: &unescape(body),
                now: httpdate::parse_http_date(NOW).unwrap_or(SystemTime::UNIX_EPOCH),
                keys: &[KEY],
            },
            &encode,
        );
        let details: Vec<_> = error.details.iter().map(|any| any.type_url.rsplit('.').next().unwrap()).collect();
        let or_none = |text: String| {
            if text.is_empty() { "-".to_owned() } else { text }
        };
        let error = [
            error.code.as_str().to_owned(),
            error.retry_after.map_or("-".to_owned(), |delay| delay.as_millis().to_string()),
            if error.daily_quota { "daily" } else { "-" }.to_owned(),
            or_none(error.reason().unwrap_or_default().to_owned()),
            or_none(details.join(" ")),
            error.status.to_string(),
            error.message.replace('\n', "\\n"),
        ];
        if error != expected {
            wrong.push(format!("{row}\n    is read as {error:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(rows >= 80, "the table has lost rows: {rows}");
}
