//! The message of an error: upstream's own, or one of ours if it has none.

use super::envelope::Envelope;
use super::{ErrorReply, MAX_ERROR_MESSAGE_BYTES, is_success, redact};

/// The longest title of a web page that is quoted, in bytes.
const MAX_TITLE_BYTES: usize = 120;

/// The message for an error reply. `body` is the part of its body that was read, `envelope` what was found in it.
pub(super) fn of(reply: &ErrorReply<'_>, body: &[u8], is_json: bool, envelope: &Envelope<'_>, status: u16) -> String {
    let summary = if is_success(reply.status) {
        "upstream sent an error".to_owned()
    } else {
        let name = http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
        let name = name.map(|name| format!(" ({name})")).unwrap_or_default();
        format!("upstream answered HTTP {status}{name}")
    };
    if (300..400).contains(&reply.status) {
        return format!(
            "{summary}: the base URL redirects, and redirects are not followed; configure the address that it leads to"
        );
    }
    if let Some(message) = &envelope.message {
        return lines(message, MAX_ERROR_MESSAGE_BYTES);
    }
    if let Some(label) = envelope.label {
        return line(&format!("{summary}: {label}"), MAX_ERROR_MESSAGE_BYTES);
    }
    if is_json {
        return without_message(&summary, status);
    }
    let text = String::from_utf8_lossy(body);
    let text = text.trim_start_matches(|letter: char| letter.is_whitespace() || letter == '\u{FEFF}');
    let is_html =
        reply.content_type.is_some_and(|name| name.trim_start().to_ascii_lowercase().starts_with("text/html"));
    if is_html || text.starts_with('<') {
        return match title(text) {
            Some(title) => {
                format!("{summary} with a web page titled \"{}\"", line(&redact(title, reply.keys), MAX_TITLE_BYTES))
            }
            None => format!("{summary} with a web page and no message"),
        };
    }
    // A `[` alone does not mean JSON: log lines begin with it as well.
    let list = text.strip_prefix('[').map(str::trim_start);
    if list.unwrap_or(text).starts_with('{') {
        return format!("{summary} with JSON that cannot be read");
    }
    if is_readable(text) {
        lines(&redact(text, reply.keys), MAX_ERROR_MESSAGE_BYTES)
    } else {
        without_message(&summary, status)
    }
}

fn without_message(summary: &str, status: u16) -> String {
    match status {
        413 => format!("{summary}: the request is larger than upstream takes; send less, or smaller pictures"),
        _ => format!("{summary} without a message"),
    }
}

/// Whether this is text and not binary data: less than a quarter are control or replacement characters.
fn is_readable(text: &str) -> bool {
    let is_noise =
        |letter: &char| *letter == char::REPLACEMENT_CHARACTER || (letter.is_control() && !letter.is_whitespace());
    text.contains(char::is_alphanumeric) && text.chars().filter(is_noise).count() * 4 < text.chars().count()
}

/// The title of a web page.
fn title(page: &str) -> Option<&str> {
    let folded = page.to_ascii_lowercase();
    let tag = folded.find("<title")?;
    let start = tag + folded[tag..].find('>')? + 1;
    let end = start + folded[start..].find("</title")?;
    Some(&page[start..end]).filter(|title| title.contains(char::is_alphanumeric))
}

/// The text in one line, without control characters, of at most `max` bytes.
fn line(text: &str, max: usize) -> String {
    cut(&text.replace(char::is_control, " "), max)
}

/// The text without control characters except line ends, of at most `max` bytes in total.
fn lines(text: &str, max: usize) -> String {
    let text = text.replace("\r\n", "\n");
    cut(&text.replace(|letter: char| letter.is_control() && letter != '\n', " "), max)
}

/// The text cut at a character boundary with an ellipsis, if it is longer than `max` bytes.
fn cut(text: &str, max: usize) -> String {
    const ELLIPSIS: &str = "…";
    let text = text.trim();
    if text.len() <= max {
        return text.to_owned();
    }
    let end = (0..=max - ELLIPSIS.len()).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    format!("{}{ELLIPSIS}", text[..end].trim_end())
}
