//! The Markdown table of the settings of a command, as docs/configuration.md shows it.

use clap::Command;

/// Flag, variable, default and meaning of each setting.
pub(super) fn of_settings(command: &Command) -> String {
    let mut table = "| flag | variable | default | meaning |\n|---|---|---|---|\n".to_owned();
    for argument in command.get_arguments() {
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
