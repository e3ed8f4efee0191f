//! Random JSON texts, with odd white space, numbers and escapes and with unknown members, arrive byte for byte.

use std::slice::Iter;

use proptest::prelude::*;

use super::*;

/// The texts that each property is checked with.
const TEXTS: u32 = 10_000;

/// Writes a random text. Each choice takes a number of the list; when it is exhausted, the first option is chosen.
struct Writer<'r> {
    rolls: Iter<'r, u32>,
    out: String,
}

impl Writer<'_> {
    fn below(&mut self, n: usize) -> usize {
        self.rolls.next().map_or(0, |roll| *roll as usize % n)
    }

    fn put(&mut self, options: &[&str]) {
        let option = self.below(options.len());
        self.out.push_str(options[option]);
    }

    fn white(&mut self) {
        self.put(&["", "", "", " ", "\n", "\t", "\r\n  "]);
    }

    fn token(&mut self, token: &str) {
        self.white();
        self.out.push_str(token);
        self.white();
    }

    fn text(&mut self) {
        self.out.push('"');
        for _ in 0..self.below(6) {
            self.put(&[
                "a",
                " ",
                "é",
                "😀",
                r"\n",
                r#"\""#,
                r"\\",
                r"\/",
                r"\u00e9",
                r"\ud83d\ude00",
                r"\ud83d",
                r"\uDE00",
            ]);
        }
        self.out.push('"');
    }

    fn number(&mut self) {
        self.put(&["", "-"]);
        self.put(&["0", "1", "12345678901234567890123456789", "10"]);
        self.put(&["", ".0", ".50", ".123456789012345678901234567890"]);
        self.put(&["", "e0", "E+400", "e-400", "e400"]);
    }

    fn value(&mut self, depth: usize) {
        match self.below(if depth > 0 { 6 } else { 4 }) {
            0 => self.number(),
            1 => self.text(),
            2 => self.put(&["null", "true"]),
            3 => self.put(&["false", "[]", "{}"]),
            4 => {
                self.token("[");
                for item in 0..self.below(4) {
                    if item > 0 {
                        self.token(",");
                    }
                    self.value(depth - 1);
                }
                self.token("]");
            }
            _ => self.object(&[], |_| (), depth - 1),
        }
    }

    /// An object with some of these members, which have any value, with one that is `written`, and with some that the
    /// contract does not have, perhaps more than once.
    fn object(&mut self, others: &[&str], written: impl Fn(&mut Self), depth: usize) {
        self.token("{");
        let first = self.out.len();
        let separate = |writer: &mut Self| {
            if writer.out.len() > first {
                writer.token(",");
            }
        };
        let place = self.below(others.len() + 1);
        for (at, name) in others.iter().map(Some).chain([None]).enumerate() {
            if at == place {
                let end = self.out.len();
                separate(self);
                let start = self.out.len();
                written(self);
                if self.out.len() == start {
                    self.out.truncate(end);
                }
            }
            if let Some(name) = name.filter(|_| self.below(2) == 1) {
                separate(self);
                self.member(name);
                self.value(depth);
            }
            for _ in 0..self.below(2) {
                separate(self);
                let name = ["x", "xa", "x\\u00e9", "x\\n", "\\u0078"][self.below(5)];
                self.member(name);
                self.value(depth);
            }
        }
        self.token("}");
    }

    fn member(&mut self, name: &str) {
        self.out.push_str(&format!("\"{name}\""));
        self.token(":");
    }

    fn content(&mut self) {
        let text = |writer: &mut Self| {
            writer.member("text");
            writer.text();
        };
        let parts = |writer: &mut Self| {
            writer.member("parts");
            writer.out.push('[');
            writer.object(&["thought", "videoMetadata", "partMetadata", "thought_signature"], text, 2);
            writer.out.push(']');
        };
        self.object(&["role"], parts, 1);
    }

    fn request(&mut self) {
        let contents = |writer: &mut Self| {
            writer.member("contents");
            writer.out.push('[');
            writer.content();
            writer.out.push(']');
        };
        self.object(&["tools", "toolConfig", "safety_settings", "cachedContent", "labels"], contents, 3);
    }

    fn response(&mut self) {
        let content = |writer: &mut Self| {
            writer.member("content");
            writer.content();
        };
        let candidates = |writer: &mut Self| {
            writer.member("candidates");
            writer.out.push('[');
            writer.object(&["finishReason", "safety_ratings", "index", "citationMetadata"], content, 2);
            writer.out.push(']');
        };
        self.object(&["promptFeedback", "usage_metadata", "modelVersion", "responseId"], candidates, 3);
    }
}

fn written(rolls: &[u32], write: fn(&mut Writer<'_>)) -> Bytes {
    let mut writer = Writer { rolls: rolls.iter(), out: String::new() };
    write(&mut writer);
    writer.out.into()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: TEXTS, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_request_goes_upstream_byte_for_byte(rolls in prop::collection::vec(any::<u32>(), 0..250)) {
        let request = written(&rolls, |writer| writer.request());
        let prepared = prepare(&json("models/gemini-2.5-flash"), generating(true), &request);
        prop_assert!(prepared.is_ok(), "{:?}: {:?}", prepared.err(), request);
        let sent = prepared.unwrap().json;
        prop_assert_eq!(&sent, &request);
        prop_assert_eq!(sent.as_ptr(), request.as_ptr());
    }

    #[test]
    fn a_response_is_passed_on_byte_for_byte(rolls in prop::collection::vec(any::<u32>(), 0..250)) {
        let response = written(&rolls, |writer| writer.response());
        for method in methods() {
            let passed = passed(method, &response);
            prop_assert_eq!(&passed, &response);
            prop_assert_eq!(passed.as_ptr(), response.as_ptr());
        }
    }
}
