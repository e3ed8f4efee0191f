//! Mistakes in environment variables: names that do not exist, and values that cannot be used.

use clap::Command;
use clap::error::{ContextKind, ContextValue};

use super::Failure;

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

/// Refuses a variable that has our prefix and does not exist: otherwise a misspelt setting would silently not apply.
pub(super) fn check(serve: &Command) -> Result<(), Failure> {
    let known: Vec<&str> =
        (serve.get_arguments().filter_map(|argument| argument.get_env()?.to_str())).chain(OTHERS).collect();
    let given = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    for (name, value) in given.filter(|(name, _)| name.starts_with(PREFIX)) {
        if !known.contains(&name.as_str()) && !is_service_link(&name, &value.to_string_lossy()) {
            let hint = nearest(&name, &known).map(|nearest| format!("; did you mean {nearest}?")).unwrap_or_default();
            return Err(Failure::Usage(format!("{name}: there is no such variable{hint}")));
        }
    }
    Ok(())
}

fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let ours = known.iter().filter(|known| known.starts_with(PREFIX));
    ours.min_by_key(|known| strsim::levenshtein(name, known)).copied()
}

/// Kubernetes sets such variables for each service, and ours may be named gemini-grpc.
fn is_service_link(name: &str, value: &str) -> bool {
    let address = ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme));
    let of_port = ["_TCP", "_UDP", "_SCTP"].iter().any(|protocol| name.contains(protocol)) && name.contains("_PORT_");
    name.ends_with("_SERVICE_HOST") || name.contains("_SERVICE_PORT") || of_port || (name.ends_with("_PORT") && address)
}

/// The error text for a value that came from a variable. clap names only the flag, which may not have been used.
pub(super) fn explain(command: &Command, error: &clap::Error) -> Option<String> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let (flag, value) = (text(ContextKind::InvalidArg)?, text(ContextKind::InvalidValue)?);
    let mut command = command.clone();
    // An argument knows how it is shown only once the command is built.
    command.build();
    let own = command.get_arguments();
    let variable = own
        .chain(command.get_subcommands().flat_map(Command::get_arguments))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_that_kubernetes_sets_for_a_service_are_accepted() {
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
        let known = ["GEMINI_GRPC_LOG", "OTEL_LISTN", "GEMINI_GRPC_LISTEN"];
        assert_eq!(nearest("GEMINI_GRPC_LISTN", &known), Some("GEMINI_GRPC_LISTEN"));
    }
}
