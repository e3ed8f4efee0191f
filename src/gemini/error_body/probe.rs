//! Recognizes errors that come in place of a response. It runs for every event, so it reads only the names of the
//! members.

use memchr::memchr2;

/// Whether `json` is an error in place of a response, which upstreams send with status 200. It is an object, or a list
/// whose first element is an object, without `candidates` and with `error` (an object or a string) or NestJS's
/// `statusCode` of 4xx or 5xx.
///
/// A response is usually recognized by its first member. JSON that is not valid is not an error here: the translator
/// refuses it.
pub fn is_error(json: &[u8]) -> bool {
    let mut error = false;
    let mut members = Members::of(json);
    while let Some((name, value)) = members.next() {
        match name {
            b"candidates" if has_element(value) => return false,
            b"error" => error |= matches!(value.first(), Some(b'{' | b'"')),
            b"statusCode" => error |= matches!(value, [b'4' | b'5', ..]),
            _ => {}
        }
    }
    error && members.is_whole
}

/// Whether `json` begins with a list that is not empty.
fn has_element(json: &[u8]) -> bool {
    json.strip_prefix(b"[").is_some_and(|list| !list.trim_ascii_start().starts_with(b"]"))
}

/// Iterates over the members of a JSON object: the name as it is written, and the rest of the text from its value on.
struct Members<'a> {
    rest: &'a [u8],
    /// Whether the end of the object was reached.
    is_whole: bool,
}

impl<'a> Members<'a> {
    fn of(json: &'a [u8]) -> Self {
        let json = json.trim_ascii_start();
        let object = json.strip_prefix(b"[").unwrap_or(json).trim_ascii_start();
        Self { rest: object.strip_prefix(b"{").unwrap_or_default(), is_whole: false }
    }

    fn next(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let rest = self.rest.trim_ascii_start();
        let rest = rest.strip_prefix(b",").unwrap_or(rest).trim_ascii_start();
        if rest.first() == Some(&b'}') {
            self.is_whole = true;
            return None;
        }
        let rest = rest.strip_prefix(b"\"")?;
        let end = string_end(rest)?;
        let value = rest[end..].trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
        self.rest = &value[value_end(value)?..];
        Some((&rest[..end - 1], value))
    }
}

/// The length of a string up to and including its closing quote. `text` begins after the opening quote.
fn string_end(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// The length of the value that `json` begins with.
fn value_end(json: &[u8]) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = 0;
    loop {
        match json.get(at)? {
            b'"' => at += string_end(&json[at + 1..])?,
            b'{' | b'[' => depth += 1,
            b',' | b'}' | b']' if depth == 0 => return Some(at),
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
}
