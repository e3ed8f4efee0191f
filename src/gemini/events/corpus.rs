//! Reads the bodies in tests/golden/streams, for each of which the expected events and end are given.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use serde::Deserialize;

use super::{Error, Events, Framing};

const LIMIT: usize = 64 << 10;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    /// A description of the case for people.
    #[serde(rename = "about")]
    _about: String,
    events: Vec<String>,
    end: End,
    /// The last event has the only finish reason, and the body ends with that event.
    #[serde(default)]
    nothing_after_finish: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum End {
    Whole,
    Truncated,
    Unreadable,
}

struct Case {
    name: String,
    framing: Framing,
    body: Bytes,
    expected: Expected,
}

fn corpus() -> Vec<Case> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/streams");
    let mut cases = Vec::new();
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.ends_with(".expected.json") {
            continue;
        }
        let content_type = if name.ends_with(".sse") { "text/event-stream" } else { "application/json" };
        let expected = fs::read(path.with_extension("expected.json")).expect(&name);
        cases.push(Case {
            framing: Framing::from_content_type(content_type),
            body: fs::read(&path).unwrap().into(),
            expected: serde_json::from_slice(&expected).expect(&name),
            name,
        });
    }
    assert!(cases.len() >= 60, "the corpus has been lost");
    cases
}

/// Reads `body` in pieces that end at `cuts`.
fn read(framing: Framing, body: &Bytes, cuts: &[usize]) -> (Vec<Bytes>, End) {
    let mut events = Events::new(framing, LIMIT);
    let mut seen = Vec::new();
    let mut start = 0;
    for &cut in cuts.iter().chain([&body.len()]) {
        events.push(body.slice(start..cut));
        start = cut;
        for event in events.by_ref() {
            match event {
                Ok(event) => seen.push(event),
                Err(Error::Unreadable) => return (seen, End::Unreadable),
                Err(error) => panic!("{error}"),
            }
        }
    }
    let end = match events.finish() {
        Ok(last) => {
            seen.extend(last);
            End::Whole
        }
        Err(Error::Truncated) => End::Truncated,
        Err(error) => panic!("{error}"),
    };
    (seen, end)
}

#[track_caller]
fn assert_reads_as_expected(case: &Case, cuts: &[usize]) {
    let (events, end) = read(case.framing, &case.body, cuts);
    assert_eq!(events, case.expected.events, "{} cut at {cuts:?}", case.name);
    assert_eq!(end, case.expected.end, "{} cut at {cuts:?}", case.name);
}

#[test]
fn every_body_gives_its_expected_events() {
    for case in corpus() {
        assert_reads_as_expected(&case, &[]);
    }
}

#[test]
fn every_body_reads_the_same_cut_at_any_byte() {
    for case in corpus() {
        for cut in 0..=case.body.len() {
            assert_reads_as_expected(&case, &[cut]);
        }
    }
}

#[test]
fn every_short_body_reads_the_same_cut_at_any_two_bytes() {
    for case in corpus().iter().filter(|case| case.body.len() < 700) {
        for first in 0..=case.body.len() {
            for second in first..=case.body.len() {
                assert_reads_as_expected(case, &[first, second]);
            }
        }
    }
}

#[test]
fn every_body_reads_the_same_byte_by_byte() {
    for case in corpus() {
        assert_reads_as_expected(&case, &(0..case.body.len()).collect::<Vec<_>>());
    }
}

fn has_finish_reason(event: &Bytes) -> bool {
    event.windows(14).any(|name| name == b"\"finishReason\"")
}

#[test]
fn a_truncated_body_with_its_finish_reason_never_passes_for_complete_without_all_events() {
    let mut cases = 0;
    for case in corpus().iter().filter(|case| case.expected.nothing_after_finish) {
        cases += 1;
        assert!(has_finish_reason(read(case.framing, &case.body, &[]).0.last().unwrap()), "{}", case.name);
        for length in 0..case.body.len() {
            let (events, end) = read(case.framing, &case.body.slice(..length), &[]);
            let passes_for_complete = end == End::Whole && events.iter().any(has_finish_reason);
            let lacks_something = events != case.expected.events;
            assert!(
                !(passes_for_complete && lacks_something),
                "{} cut to {length} bytes passes for complete",
                case.name
            );
        }
    }
    assert!(cases >= 25, "{cases} bodies end with their finish reason");
}

#[test]
fn a_truncated_body_gives_a_prefix_of_its_events() {
    for case in corpus() {
        for length in 0..case.body.len() {
            let (events, _) = read(case.framing, &case.body.slice(..length), &[]);
            let (expected, _) = case.expected.events.split_at(events.len());
            // Of the last event, empty data lines may be cut.
            let is_same =
                |(event, expected): (&Bytes, &String)| event.trim_ascii_end() == expected.trim_end().as_bytes();
            assert!(events.iter().zip(expected).all(is_same), "{} cut to {length} bytes", case.name);
        }
    }
}
