//! Counts what a new file of callers changes.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::auth::Auth;
use super::caller::Callers;
use super::file::Row;

/// How many callers differ between two readings of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallerChanges {
    pub added: usize,
    pub removed: usize,
    /// Those with other tokens, certificate names, models or limits than before.
    pub changed: usize,
}

impl Auth {
    /// What differs from the previous callers; `None` where callers are not known.
    pub fn changes_since(&self, previous: &Self) -> Option<CallerChanges> {
        match (self, previous) {
            (Self::Tokens(now), Self::Tokens(before)) | (Self::Certificates(now), Self::Certificates(before)) => {
                Some(now.changes_since(before))
            }
            _ => None,
        }
    }
}

impl Callers {
    fn changes_since(&self, previous: &Self) -> CallerChanges {
        let mut before: HashMap<_, _> = previous.iter().map(|caller| (&*caller.name, caller.definition)).collect();
        let mut changes = CallerChanges::default();
        for caller in self.iter() {
            match before.remove(&*caller.name) {
                None => changes.added += 1,
                Some(definition) if definition != caller.definition => changes.changed += 1,
                Some(_) => {}
            }
        }
        CallerChanges { removed: before.len(), ..changes }
    }
}

impl Row {
    /// A hash of the row. Its hasher has fixed keys, so that two readings of the file can be compared.
    pub(super) fn definition(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::gateway::callers::TokenHash;

    fn tokens(rows: &[(&str, &str, &str)]) -> Auth {
        let row = |(name, token, rest): &(&str, &str, &str)| {
            format!("[callers.{name}]\ntoken_sha256 = '{}'\n{rest}\n", TokenHash::of(token).to_hex())
        };
        Auth::tokens(Callers::from_toml(&rows.iter().map(row).collect::<String>()).unwrap()).unwrap()
    }

    #[test]
    fn callers_that_came_went_and_changed_are_counted() {
        let before = tokens(&[("a", "1", ""), ("b", "2", "models = 'x'"), ("c", "3", ""), ("d", "4", "")]);
        for (rows, added, removed, changed) in [
            (&[("a", "1", ""), ("b", "2", "models = 'x'"), ("c", "3", ""), ("d", "4", "")][..], 0, 0, 0),
            // The order in the file means nothing.
            (&[("d", "4", ""), ("c", "3", ""), ("b", "2", "models = 'x'"), ("a", "1", "")], 0, 0, 0),
            (&[("a", "1", ""), ("e", "5", "")], 1, 3, 0),
            (&[("a", "9", ""), ("b", "2", "models = 'y'"), ("c", "3", "calls_in_flight = 1"), ("d", "4", "")], 0, 0, 3),
            // A token that moves to another caller changes both.
            (&[("a", "2", ""), ("b", "1", "models = 'x'"), ("f", "3", "")], 1, 2, 2),
        ] {
            let changes = tokens(rows).changes_since(&before);
            assert_eq!(changes, Some(CallerChanges { added, removed, changed }), "{rows:?}");
        }
        assert_eq!(Auth::Forward.changes_since(&before), None);
    }
}
