//! The configuration as its definition has it: the table of the README, and the names that exist.

use clap::error::{ContextKind, ContextValue};
use clap::{Args as _, Command, CommandFactory as _};

use super::{Cli, Failure, serve};

const PREFIX: &str = "GEMINI_GRPC_";
/// Variables of the other commands.
const OTHERS: [&str; 7] = [
    "GEMINI_GRPC_SANDBOX_LISTEN",
    "GEMINI_GRPC_SANDBOX_PACE",
    "GEMINI_GRPC_SANDBOX_STREAMS",
    "GEMINI_GRPC_ENDPOINT",
    "GEMINI_GRPC_CA",
    "GEMINI_GRPC_CERT",
    "GEMINI_GRPC_CERT_KEY",
];

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
        let values: Vec<_> = match argument.is_hide_possible_values_set() {
            true => Vec::new(),
            false => argument.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect(),
        };
        let values = if values.is_empty() { String::new() } else { format!(": {}", values.join(" or ")) };
        table.push_str(&format!("| `--{flag}` | `{}` | {default} | {help}{values} |\n", variable.to_string_lossy()));
    }
    table
}

/// A variable with our prefix that does not exist is a mistake that would go unseen.
pub(super) fn check_environment() -> Result<(), Failure> {
    let definition = definition();
    let known: Vec<&str> =
        (definition.get_arguments().filter_map(|argument| argument.get_env()?.to_str())).chain(OTHERS).collect();
    let given = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    for (name, value) in given.filter(|(name, _)| name.starts_with(PREFIX)) {
        if !known.contains(&name.as_str()) && !is_service_link(&name, &value.to_string_lossy()) {
            let nearest =
                known.iter().filter(|known| known.starts_with(PREFIX)).min_by_key(|known| distance(&name, known));
            let hint = nearest.map(|nearest| format!("; did you mean {nearest}?")).unwrap_or_default();
            return Err(Failure::Usage(format!("{name}: there is no such variable{hint}")));
        }
    }
    Ok(())
}

/// Kubernetes sets such variables for every service, and ours may be named gemini-grpc.
fn is_service_link(name: &str, value: &str) -> bool {
    let address = ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme));
    let of_port = ["_TCP", "_UDP", "_SCTP"].iter().any(|protocol| name.contains(protocol)) && name.contains("_PORT_");
    name.ends_with("_SERVICE_HOST") || name.contains("_SERVICE_PORT") || of_port || (name.ends_with("_PORT") && address)
}

/// The sentence about a value that came from a variable: clap names the flag alone, which nobody may have used.
pub(super) fn of_variable(error: &clap::Error) -> Option<String> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let (flag, value) = (text(ContextKind::InvalidArg)?, text(ContextKind::InvalidValue)?);
    let mut cli = Cli::command();
    // An argument has a name to show only once it is built.
    cli.build();
    let arguments = cli.get_subcommands().flat_map(Command::get_arguments);
    let variable = arguments
        .filter(|argument| argument.to_string() == flag)
        .filter_map(|argument| argument.get_env())
        .find(|variable| std::env::var_os(variable).is_some_and(|given| given == value))?
        .to_string_lossy();
    let reason = match (error.get(ContextKind::ValidValue), std::error::Error::source(error)) {
        (Some(ContextValue::Strings(valid)), _) if !valid.is_empty() => format!("it may be {}", valid.join(" or ")),
        (_, Some(source)) => source.to_string(),
        _ => format!("it cannot be given as {flag}"),
    };
    Some(format!("{variable}: {value:?} cannot be used: {reason}"))
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
    fn what_kubernetes_sets_for_a_service_is_no_mistake() {
        for (name, value) in [
            ("GEMINI_GRPC_SERVICE_HOST", "10.0.0.7"),
            ("GEMINI_GRPC_SERVICE_PORT", "50051"),
            ("GEMINI_GRPC_SERVICE_PORT_GRPC", "50051"),
            ("GEMINI_GRPC_PORT", "tcp://10.0.0.7:50051"),
            ("GEMINI_GRPC_PORT_50051_TCP_ADDR", "10.0.0.7"),
        ] {
            assert!(is_service_link(name, value), "{name}");
        }
        assert!(!is_service_link("GEMINI_GRPC_PORT", "50051"));
        assert!(!is_service_link("GEMINI_GRPC_LISTN", "127.0.0.1:50051"));
    }

    #[test]
    fn the_nearest_name_is_the_one_with_the_fewest_changes() {
        assert_eq!(distance("GEMINI_GRPC_LISTN", "GEMINI_GRPC_LISTEN"), 1);
        assert_eq!(distance("", "abc"), 3);
    }
}
