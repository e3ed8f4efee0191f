//! The message of an error: upstream's words, or ours where it has none.

use super::envelope::Envelope;
use super::{MAX_MESSAGE, Reply, is_success, redact};

/// The longest title of a web page that is worth repeating, in bytes.
const MAX_TITLE: usize = 120;

/// The message for a reply whose body is read as far as it goes.
pub(super) fn of(reply: &Reply<'_>, body: &[u8], is_json: bool, envelope: &Envelope<'_>, status: u16) -> String {
    let answered = if is_success(reply.status) {
        "upstream sent an error".to_owned()
    } else {
        let name = http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
        let name = name.map(|name| format!(" ({name})")).unwrap_or_default();
        format!("upstream answered HTTP {status}{name}")
    };
    if (300..400).contains(&reply.status) {
        return format!(
            "{answered}: the base URL redirects, and redirects are not followed; configure the address that it leads to"
        );
    }
    if let Some(message) = &envelope.message {
        return lines(message, MAX_MESSAGE);
    }
    if let Some(label) = envelope.label {
        return line(&format!("{answered}: {label}"), MAX_MESSAGE);
    }
    if is_json {
        return without(&answered, status);
    }
    let text = String::from_utf8_lossy(body);
    let text = text.trim_start_matches(|letter: char| letter.is_whitespace() || letter == '\u{FEFF}');
    let is_html =
        reply.content_type.is_some_and(|name| name.trim_start().to_ascii_lowercase().starts_with("text/html"));
    if is_html || text.starts_with('<') {
        return match title(text) {
            Some(title) => {
                format!("{answered} with a web page titled \"{}\"", line(&redact(title, reply.keys), MAX_TITLE))
            }
            None => format!("{answered} with a web page and no message"),
        };
    }
    // A log line may begin with `[` as well.
    let list = text.strip_prefix('[').map(str::trim_start);
    if list.unwrap_or(text).starts_with('{') {
        return format!("{answered} with JSON that cannot be read");
    }
    if is_readable(text) { lines(&redact(text, reply.keys), MAX_MESSAGE) } else { without(&answered, status) }
}

fn without(answered: &str, status: u16) -> String {
    match status {
        413 => format!("{answered}: the request is larger than upstream takes; send less, or smaller pictures"),
        _ => format!("{answered} without a message"),
    }
}

/// Words rather than bytes of something else.
fn is_readable(text: &str) -> bool {
    let is_noise =
        |letter: &char| *letter == char::REPLACEMENT_CHARACTER || (letter.is_control() && !letter.is_whitespace());
    text.contains(char::is_alphanumeric) && text.chars().filter(is_noise).count() * 4 < text.chars().count()
}

/// What stands between `<title>` and its end.
fn title(page: &str) -> Option<&str> {
    let folded = page.to_ascii_lowercase();
    let tag = folded.find("<title")?;
    let start = tag + folded[tag..].find('>')? + 1;
    let end = start + folded[start..].find("</title")?;
    Some(&page[start..end]).filter(|title| title.contains(char::is_alphanumeric))
}

/// One line without control characters, of at most `most` bytes.
fn line(text: &str, most: usize) -> String {
    cut(&text.replace(char::is_control, " "), most)
}

/// Lines without control characters but those that end them, of at most `most` bytes in all.
fn lines(text: &str, most: usize) -> String {
    let text = text.replace("\r\n", "\n");
    cut(&text.replace(|letter: char| letter.is_control() && letter != '\n', " "), most)
}

fn cut(text: &str, most: usize) -> String {
    const MORE: &str = "…";
    let text = text.trim();
    if text.len() <= most {
        return text.to_owned();
    }
    let end = (0..=most - MORE.len()).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    format!("{}{MORE}", text[..end].trim_end())
}
