//! The configuration as its definition has it: the table of the README, and the names that exist.

use clap::{Args as _, Command};

use super::{Failure, serve};

const PREFIX: &str = "GEMINI_GRPC_";
/// Variables of the other commands.
const OTHERS: [&str; 3] = ["GEMINI_GRPC_SANDBOX_LISTEN", "GEMINI_GRPC_SANDBOX_PACE", "GEMINI_GRPC_ENDPOINT"];

fn definition() -> Command {
    serve::Args::augment_args(Command::new("serve"))
}

/// A Markdown table of what `serve` can be told: flag, variable, default, meaning.
pub fn configuration_table() -> String {
    let mut table = "| flag | variable | default | meaning |\n|---|---|---|---|\n".to_owned();
    for argument in definition().get_arguments() {
        let (Some(flag), Some(variable)) = (argument.get_long(), argument.get_env()) else { continue };
        let default =
            argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect::<Vec<_>>().join(" ");
        let default = if default.is_empty() { String::new() } else { format!("`{default}`") };
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        table.push_str(&format!("| `--{flag}` | `{}` | {default} | {help} |\n", variable.to_string_lossy()));
    }
    table
}

/// A variable with our prefix that does not exist is a mistake that would go unseen.
pub(super) fn check_environment() -> Result<(), Failure> {
    let definition = definition();
    let known: Vec<&str> =
        (definition.get_arguments().filter_map(|argument| argument.get_env()?.to_str())).chain(OTHERS).collect();
    let given = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    for name in given.filter(|name| name.starts_with(PREFIX)) {
        if !known.contains(&name.as_str()) {
            let nearest =
                known.iter().filter(|known| known.starts_with(PREFIX)).min_by_key(|known| distance(&name, known));
            let hint = nearest.map(|nearest| format!("; did you mean {nearest}?")).unwrap_or_default();
            return Err(Failure::Usage(format!("{name}: there is no such variable{hint}")));
        }
    }
    Ok(())
}

/// How many letters differ (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut before = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = before + usize::from(x != y);
            before = row[j + 1];
            row[j + 1] = replaced.min(before + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flag_of_serve_has_a_variable_and_the_definition_is_valid() {
        definition().debug_assert();
        for argument in definition().get_arguments() {
            assert!(argument.get_env().is_some() && argument.get_long().is_some(), "{}", argument.get_id());
            assert!(argument.get_help().is_some(), "{}", argument.get_id());
        }
    }

    #[test]
    fn the_nearest_name_is_the_one_with_the_fewest_changes() {
        assert_eq!(distance("GEMINI_GRPC_LISTN", "GEMINI_GRPC_LISTEN"), 1);
        assert_eq!(distance("", "abc"), 3);
    }
}
