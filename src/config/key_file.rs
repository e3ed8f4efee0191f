//! The file with the gateway's keys: one key, or a pool of them with a name and a weight each. No error repeats anything
//! of the file, since a key may stand where it does not belong.

use std::collections::HashMap;
use std::fmt;
use std::ops::RangeInclusive;

use crate::gateway::{ApiKey, Keys, MAX_KEYS, NamedKey};

/// The longest name of a key, in bytes.
const MAX_NAME_BYTES: usize = 64;
const WEIGHTS: RangeInclusive<u32> = 1..=1000;
/// A name of at least this many bytes that is longer than its key is taken for a key: they were exchanged. Keys are
/// longer.
const MIN_KEY_BYTES: usize = 20;
/// How keys begin. A name that begins so is a key, or a piece of one with a blank in it.
const KEY_PREFIXES: [&str; 4] = ["sk-", "sk_", "gg_", "aiza"];

/// Why a file cannot be used: the line, counted from 1, and what is wrong in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Problem {
    line: Option<usize>,
    fault: Fault,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Fault {
    #[error(
        "holds no usable key; it should hold visible ASCII characters on one line, or several keys, one a line, as NAME KEY or NAME WEIGHT KEY"
    )]
    None,
    #[error("has more than {MAX_KEYS} keys")]
    TooMany,
    #[error("has no name; where a file has several keys, each line is NAME KEY or NAME WEIGHT KEY")]
    NoName,
    #[error("has more than three words; a line is NAME KEY or NAME WEIGHT KEY")]
    TooLong,
    #[error(
        "the name is not one: 1 to {MAX_NAME_BYTES} of a-z, 0-9, '.', '_' and '-' are expected, and the key behind it"
    )]
    Name,
    #[error("the name looks like a key; the name is the first word of a line, and the key, without blanks, the last")]
    Exchanged,
    #[error("the name is that of line {0}; each key has a name of its own")]
    SameName(usize),
    #[error("the weight, which is the second of three words, is not one: a whole number from 1 to 1000 is expected")]
    Weight,
    #[error("the key is not one: 1 to 4096 visible ASCII characters are expected")]
    Key,
    #[error("the key is that of line {0}; each line has a key of its own")]
    SameKey(usize),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, ": line {line}: {}", self.fault),
            None => write!(f, " {}", self.fault),
        }
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Self { line: None, fault }
    }
}

/// Reads the keys. A text of one word is one key.
pub(super) fn parse(text: &str) -> Result<Keys, Problem> {
    if let Ok(key) = text.trim().parse() {
        return Ok(Keys::One(key));
    }
    let lines = text.lines().enumerate().map(|(number, line)| (number + 1, line.trim()));
    let lines: Vec<_> = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).collect();
    if let [(line, word)] = &lines[..]
        && !word.contains(char::is_whitespace)
    {
        return word.parse().map(Keys::One).map_err(|_| Problem { line: Some(*line), fault: Fault::Key });
    }
    match lines.len() {
        0 => return Err(Fault::None.into()),
        count if count > MAX_KEYS => return Err(Fault::TooMany.into()),
        _ => {}
    }
    let (mut names, mut secrets) = (HashMap::new(), HashMap::new());
    let mut keys = Vec::with_capacity(lines.len());
    for (line, text) in lines {
        let at = |fault| Problem { line: Some(line), fault };
        let key = parse_line(text).map_err(at)?;
        if let Some(before) = names.insert(key.name.clone(), line) {
            return Err(at(Fault::SameName(before)));
        }
        if let Some(before) = secrets.insert(key.key.expose().to_owned(), line) {
            return Err(at(Fault::SameKey(before)));
        }
        keys.push(key);
    }
    Ok(Keys::pool(keys))
}

fn parse_line(line: &str) -> Result<NamedKey, Fault> {
    let words: Vec<_> = line.split_whitespace().collect();
    let (name, weight, key) = match words[..] {
        [name, key] => (name, "1", key),
        [name, weight, key] => (name, weight, key),
        [_] => return Err(Fault::NoName),
        _ => return Err(Fault::TooLong),
    };
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    if !(1..=MAX_NAME_BYTES).contains(&name.len()) || !name.bytes().all(is_allowed) {
        return Err(Fault::Name);
    }
    let is_key = KEY_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    if is_key || name.len() >= MIN_KEY_BYTES && name.len() > key.len() {
        return Err(Fault::Exchanged);
    }
    let is_number = weight.bytes().all(|byte| byte.is_ascii_digit());
    let weight = weight.parse().ok().filter(|weight| is_number && WEIGHTS.contains(weight)).ok_or(Fault::Weight)?;
    let key: ApiKey = key.parse().map_err(|_| Fault::Key)?;
    Ok(NamedKey { name: name.into(), weight, key })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn problem(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn a_file_with_one_key_is_read_as_it_always_was() {
        for text in ["a-key", "a-key\n", "\r\n a-key \r\n", "# the key\n\na-key\n", "#a-key"] {
            let keys = parse(text).unwrap();
            let expected = if text == "#a-key" { "#a-key" } else { "a-key" };
            assert_eq!(keys.only().unwrap().expose(), expected, "{text}");
        }
    }

    #[test]
    fn several_keys_have_a_name_and_a_weight_each() {
        let text = "# keys of the team\n\nmain AIza-one\r\n  spare\t10   AIza-two  \n#old AIza-three\nteam_b.2 1000 k";
        let Keys::Pool(pool) = parse(text).unwrap() else { unreachable!() };
        let shown = format!("{pool:?}");
        for part in ["\"main\", weight: 1,", "\"spare\", weight: 10,", "\"team_b.2\", weight: 1000,"] {
            assert!(shown.contains(part), "{shown}");
        }
        assert!(!shown.contains("AIza") && !shown.contains("old"), "{shown}");
        // One key with a name is a pool too, so that metrics have its name.
        assert!(matches!(parse("main AIza-one").unwrap(), Keys::Pool(_)));
    }

    #[test]
    fn a_mistake_is_named_by_its_line_and_no_key_is_repeated() {
        let long = "k".repeat(40);
        let many: String = (0..=MAX_KEYS).map(|n| format!("k{n} secret-{n}\n")).collect();
        for (text, expected) in [
            ("", " holds no usable key"),
            ("# nothing\n\n", " holds no usable key"),
            ("\u{e9}t\u{e9}", ": line 1: the key is not one"),
            ("AIza-secret\nAIza-secret2", ": line 1: has no name; "),
            ("a secret-1\n\nAIza-secret", ": line 3: has no name; "),
            ("a 1 secret-1 more", ": line 1: has more than three words"),
            ("AIza-secret main", ": line 1: the name is not one"),
            ("a/b secret-1", ": line 1: the name is not one"),
            (&format!("{} secret-1", "n".repeat(65)), ": line 1: the name is not one"),
            (&format!("{long} main"), ": line 1: the name looks like a key"),
            ("sk-secret 67890", ": line 1: the name looks like a key"),
            ("a secret-1\na secret-2", ": line 2: the name is that of line 1"),
            ("a secret-1\n#\nb secret-2\nc secret-1", ": line 4: the key is that of line 1"),
            ("a 0 secret-1", ": line 1: the weight"),
            ("a 1001 secret-1", ": line 1: the weight"),
            ("a +1 secret-1", ": line 1: the weight"),
            ("a secret-1 1", ": line 1: the weight"),
            ("a s\u{e9}cret-1", ": line 1: the key is not one"),
            (&many, " has more than 100 keys"),
        ] {
            let shown = problem(text);
            assert!(shown.starts_with(expected), "{text}: {shown}");
            assert!(!shown.contains("secret") && !shown.contains("kkk"), "{shown}");
        }
    }

    proptest! {
        #[test]
        fn no_error_repeats_a_word_of_the_file(words in prop::collection::vec("[A-Za-z0-9+/=\u{e9}-]{12,80}", 1..5), seps in prop::collection::vec("[ \n]", 5)) {
            let text: String = words.iter().zip(&seps).flat_map(|(word, sep)| [word.as_str(), sep]).collect();
            if let Err(problem) = parse(&text) {
                let shown = format!("{problem} {problem:?}");
                for word in &words {
                    prop_assert!(!shown.contains(word.as_str()), "{}", shown);
                }
            }
        }
    }
}
