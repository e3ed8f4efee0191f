//! Files that are reloaded while `serve` runs.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use crate::certificates::{Authority, Files, Issued};
use crate::support::{Gateway, field, metric};

#[test]
fn a_changed_file_is_reloaded_automatically() {
    let files = Files::new();
    let file = files.write("key", "first-key");
    let mut gateway = Gateway::with(["--api-key-file", &file, "--reload-interval", "0.05"]);
    files.write("key", "second-key");
    assert_eq!(gateway.log.wait_for(|line| field(line, "changed")), "MOUNTSEA_API_KEY_FILE");
    assert_eq!(gateway.run(["call", "hello"]).code, Some(0));
}

#[test]
fn a_special_file_is_refused_and_the_next_valid_file_is_loaded() {
    let files = Files::new();
    let file = files.write("key", "first-key");
    let mut gateway = Gateway::with(["--api-key-file", &file, "--reload-interval", "0.05"]);
    let next = format!("{file}-next");
    for (kind, make) in [
        ("a pipe", &(|| assert!(Command::new("mkfifo").arg(&next).status().unwrap().success())) as &dyn Fn()),
        ("a device", &|| symlink("/dev/zero", &next).unwrap()),
        ("a directory", &|| fs::create_dir(&next).unwrap()),
    ] {
        make();
        fs::remove_file(&file).unwrap();
        fs::rename(&next, &file).unwrap();
        let error = gateway.log.wait_for(|line| field(line, "error").filter(|error| error.contains("it is ")));
        assert_eq!(
            error,
            format!("MOUNTSEA_API_KEY_FILE: cannot read {file}: it is {kind}; a regular file is expected")
        );
        assert_eq!(gateway.run(["call", "hello"]).code, Some(0));
        let _ = fs::remove_dir(&file).or_else(|_| fs::remove_file(&file));
        files.write("key", &format!("key after {kind}").replace(' ', "-"));
        gateway.log.wait_for(|line| field(line, "changed"));
    }
}

#[test]
fn the_log_line_of_a_reload_counts_added_removed_and_changed_callers() {
    let files = Files::new();
    let hash = |digit: &str| digit.repeat(64);
    let callers = |rows: &[(&str, &str, &str)]| -> String {
        rows.iter()
            .map(|(name, digit, rest)| format!("[callers.{name}]\ntoken_sha256 = '{}'\n{rest}\n", hash(digit)))
            .collect()
    };
    let file = files.write("callers.toml", &callers(&[("a", "1", ""), ("b", "2", ""), ("c", "3", "")]));
    let flags = ["--auth", "tokens", "--api-key", "own", "--callers", &file, "--reload-interval", "0.05"];
    let mut gateway = Gateway::with(flags);
    files.write("callers.toml", &callers(&[("b", "2", "calls_in_flight = 1"), ("c", "4", ""), ("d", "5", "")]));
    let line: serde_json::Value = gateway.log.wait_for(|line| {
        for digit in ["1", "2", "3", "4", "5"] {
            assert!(!line.contains(&hash(digit)), "{line}");
        }
        field(line, "changed").map(|_| serde_json::from_str(line).unwrap())
    });
    let counts = ["callers_added", "callers_removed", "callers_changed"].map(|name| line[name].as_u64());
    assert_eq!(counts, [Some(1), Some(1), Some(2)], "{line}");
}

#[test]
fn an_invalid_file_is_named_and_its_old_contents_stay_in_use() {
    let files = Files::new();
    let (key, catalog) = (files.write("key", "first-key"), files.write("models.toml", ""));
    // Files are only reloaded on a signal.
    let mut gateway = Gateway::with(["--api-key-file", &key, "--catalog", &catalog, "--reload-interval", "0"]);
    for broken in ["", "sk-12345 67890"] {
        files.write("key", broken);
        gateway.running.signal("HUP");
        let error = gateway.log.wait_for(|line| {
            assert!(!line.contains("12345"), "{line}");
            field(line, "error")
        });
        assert!(error.starts_with(&format!("MOUNTSEA_API_KEY_FILE: {key}")), "{error}");
        assert_eq!(gateway.run(["call", "hello"]).code, Some(0));
    }
    files.write("key", "second-key");
    files.write("models.toml", "# nothing yet");
    gateway.running.signal("HUP");
    let changed = gateway.log.wait_for(|line| field(line, "changed"));
    assert_eq!(changed, "MOUNTSEA_API_KEY_FILE, GEMINI_GRPC_CATALOG");
}

#[test]
fn sighup_reloads_unchanged_files_too() {
    let mut gateway = Gateway::start();
    gateway.running.signal("HUP");
    assert_eq!(gateway.log.wait_for(|line| field(line, "changed")), "");
    assert_eq!(gateway.run(["healthcheck"]).code, Some(0));
}

#[test]
fn the_metric_of_certificate_expiry_follows_the_files() {
    let (files, authority) = (Files::new(), Authority::new());
    let issue_until = |year: i32| authority.issue_until(year);
    let identity = |name: &str, year: i32| {
        let Issued { cert, key } = issue_until(year);
        [files.write(&format!("{name}-cert"), &cert), files.write(&format!("{name}-key"), &key)]
    };
    let [server, server_key] = identity("server", 2096);
    let [client, client_key] = identity("client", 2001);
    // A chain, of which the first certificate counts, and a file with an expired and a valid authority.
    files.write("server-cert", &format!("{}{}", fs::read_to_string(&server).unwrap(), issue_until(2060).cert));
    let upstream_ca =
        files.write("upstream-ca", &format!("{}{}", Authority::until(2001).pem, Authority::until(2070).pem));
    let flags = ["--tls-cert", &server, "--tls-key", &server_key, "--upstream-cert", &client, "--upstream-cert-key"];
    let more =
        [&client_key, "--upstream-ca", &upstream_ca, "--admin-listen", "127.0.0.1:0", "--reload-interval", "0.05"];
    let collector_ca = files.write("collector-ca", &Authority::until(2050).pem);
    let exporting = ["--otel-exporter-otlp-certificate", &collector_ca, "--otel-traces-exporter", "otlp"];
    let mut gateway = Gateway::with(flags.into_iter().chain(more).chain(exporting));
    let operated = |line: &str| line.contains("admin port listening").then(|| field(line, "address"))?;
    let admin = gateway.log.wait_for(operated);
    let year = |file: &str| {
        let begins = format!("gemini_grpc_tls_certificate_expiry_seconds{{gemini_grpc_tls_certificate=\"{file}\"");
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
        // A day is added, since a year in days is not exact.
        metric(&admin, &begins).map(|left| 1970.0 + ((now + left + 86_400.0) / (365.2425 * 86_400.0)).floor())
    };
    let years = || ["server", "client_ca", "upstream_client", "upstream_ca"].map(year);
    assert_eq!(years(), [Some(2060.0), None, Some(2001.0), Some(2070.0)]);
    assert_eq!(["collector_client", "collector_ca"].map(year), [None, Some(2050.0)]);
    files.write("upstream-ca", &Authority::until(2001).pem);
    files.write("client-cert", &issue_until(2080).cert);
    gateway.log.wait_for(|line| field(line, "error"));
    identity("client", 2080);
    gateway.log.wait_for(|line| field(line, "changed").filter(|_| line.contains("INFO")));
    assert_eq!(years(), [Some(2060.0), None, Some(2080.0), Some(2001.0)]);
}
