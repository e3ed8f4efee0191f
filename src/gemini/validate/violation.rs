//! Violations of a request: a field, what is allowed there, and a reason for programs.

use std::fmt;

/// The most violations that are listed: an error has to fit into headers.
pub(super) const MAX_VIOLATIONS: usize = 16;

/// A rule that the request breaks. It quotes names and settings, never a prompt or a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// In proto names: `contents[0].parts[2].inline_data.data`.
    pub field: String,
    /// What is wrong and what is allowed, as a sentence.
    pub description: String,
    /// A name for programs, in SCREAMING_SNAKE.
    pub reason: &'static str,
}

/// All the rules that a request breaks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Violations {
    list: Vec<Violation>,
    /// How many more there were than are listed.
    pub(super) more: usize,
}

impl Violations {
    /// The only rule that a request breaks.
    pub fn only(field: &str, reason: &'static str, description: impl fmt::Display) -> Self {
        let mut violations = Self::default();
        violations.add(field, reason, description);
        violations
    }

    /// Texts are made of `field` and `description` only if the violation is kept: there may be one for each part.
    pub(super) fn add(&mut self, field: impl fmt::Display, reason: &'static str, description: impl fmt::Display) {
        if self.list.len() == MAX_VIOLATIONS {
            self.more += 1;
            return;
        }
        self.list.push(Violation { field: field.to_string(), description: description.to_string(), reason });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Violation> {
        self.list.iter()
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The whole list is in the details; a client that shows only the message learns how to begin.
        match (&self.list[..], self.more) {
            ([], _) => f.write_str("the request breaks no rule"),
            ([only], 0) => write!(f, "{}: {}", only.field, only.description),
            ([first, ..], more) => {
                let count = self.list.len() + more;
                write!(f, "the request breaks {count} rules; the first is {}: {}", first.field, first.description)
            }
        }
    }
}

impl std::error::Error for Violations {}
