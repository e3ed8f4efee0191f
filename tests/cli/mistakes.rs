//! Mistakes in flags, variables and files. The error is one sentence that names the variable, the exit code is 2, and
//! nothing is served.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use crate::certificates::{Authority, Files};
use crate::support::{Ended, Running, field, gemini_grpc, run};

/// A key that was pasted with another word.
const SECRET: &str = "sk-12345 67890";

fn serve_with(variables: &[(&str, &str)]) -> Ended {
    let mut command = gemini_grpc(["serve", "--sandbox", "--listen", "127.0.0.1:0", "--log-format", "json"]);
    command.envs(variables.iter().copied());
    run(command)
}

fn is_one_sentence(ended: &Ended) -> bool {
    ended.err.starts_with("error: ") && ended.err.trim_end().lines().count() == 1 && ended.out.is_empty()
}

#[test]
fn an_invalid_variable_is_named_with_its_allowed_values() {
    for (variable, value, says) in [
        ("GEMINI_GRPC_LISTN", "127.0.0.1:1", "there is no such variable; did you mean GEMINI_GRPC_LISTEN?"),
        ("GEMINI_GRPC_LOGS", "info", "did you mean GEMINI_GRPC_LOG?"),
        ("GEMINI_GRPC_PORT", "50051", "there is no such variable"),
        ("GEMINI_GRPC_UPSTREAM_URL", "ftp://example.com", "an http or https URL"),
        ("GEMINI_GRPC_UPSTREAM_URL", "api.mountsea.ai/gemini", "an http or https URL"),
        ("GEMINI_GRPC_MAX_REQUEST_BYTES", "10", "must be at least 1024"),
        ("GEMINI_GRPC_MAX_RESPONSE_BYTES", "0", "must be at least 1024"),
        ("GEMINI_GRPC_MAX_REQUEST_BYTES", "64MiB", "invalid digit"),
        ("GEMINI_GRPC_CONNECT_TIMEOUT", "0", "more than 0 seconds are expected"),
        ("GEMINI_GRPC_MAX_STREAMS", "0", "must be at least 1"),
        ("GEMINI_GRPC_DRAIN_TIMEOUT", "0", "more than 0 seconds are expected"),
        ("GEMINI_GRPC_DRAIN_DELAY", "-1", "seconds from 0 to 1000000000 are expected"),
        ("GEMINI_GRPC_CONNECTION_AGE", "1e30", "seconds from 0 to 1000000000 are expected"),
        ("GEMINI_GRPC_CONNECTION_IDLE", "-1", "seconds from 0 to 1000000000 are expected"),
        ("GEMINI_GRPC_CALLER_SHARE", "0", "0 is not in 1..=100"),
        ("GEMINI_GRPC_CALLER_SHARE", "101", "101 is not in 1..=100"),
        ("GEMINI_GRPC_TLS_CERT", "/some/file", "requires GEMINI_GRPC_TLS_KEY"),
        ("GEMINI_GRPC_TLS_KEY", "/some/file", "requires GEMINI_GRPC_TLS_CERT"),
        ("GEMINI_GRPC_TLS_CLIENT_CA", "/some/file", "requires GEMINI_GRPC_TLS_CERT"),
        ("GEMINI_GRPC_TLS_CLIENT_CRL", "/some/file", "requires GEMINI_GRPC_TLS_CLIENT_CA"),
        ("GEMINI_GRPC_UPSTREAM_CERT", "/some/file", "requires GEMINI_GRPC_UPSTREAM_CERT_KEY"),
        ("GEMINI_GRPC_UPSTREAM_CA", "/no/such/file", "cannot read /no/such/file"),
        ("GEMINI_GRPC_WORKERS", "-1", "invalid digit"),
        ("GEMINI_GRPC_UPSTREAM_AUTH", "basic", "it may be bearer or x-goog-api-key"),
        ("GEMINI_GRPC_UPSTREAM_HTTP", "3", "it may be 1 or 2 or auto"),
        ("GEMINI_GRPC_REFLECTION", "maybe", "it may be true or false"),
        ("GEMINI_GRPC_LOG_FORMAT", "xml", "it may be auto or human or json"),
        ("GEMINI_GRPC_LOG", "gemini_grpc=loud", "try info, or warn,gemini_grpc=debug"),
        ("GEMINI_GRPC_LOG", "inof", "\"inof\" is no level; try info"),
        ("GEMINI_GRPC_CATALOG", "/no/such/file", "cannot read /no/such/file"),
        ("GEMINI_GRPC_LOG_FILTER_FILE", "/dev/null", "it is a device; a regular file is expected"),
        ("OTEL_LOGS_EXPORTER", "prometheus", "\"prometheus\" is none of otlp, console, none"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", "an http or https URL is expected"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", "\"zstd\" is none of gzip, none"),
        ("OTEL_BSP_SCHEDULE_DELAY", "5s", "a whole number from 1 up is expected"),
        ("GEMINI_GRPC_AUTH", "basic", "it may be forward or tokens or mtls or none"),
        ("GEMINI_GRPC_AUTH", "tokens", "tokens needs the callers in a file; set GEMINI_GRPC_CALLERS"),
        ("GEMINI_GRPC_AUTH", "mtls", "mtls needs the callers in a file; set GEMINI_GRPC_CALLERS"),
        ("GEMINI_GRPC_CALLERS", "/no/such/file", "only when GEMINI_GRPC_AUTH is tokens or mtls"),
        ("MOUNTSEA_API_KEY_FILE", "/no/such/file", "cannot read /no/such/file"),
    ] {
        // Not `serve_with`: its flag --log-format takes precedence over the variable.
        let mut command = gemini_grpc(["serve", "--sandbox"]);
        command.env(variable, value);
        let ended = run(command);
        assert_eq!(ended.code, Some(2), "{variable}={value}: {}", ended.err);
        assert!(is_one_sentence(&ended) && ended.err.contains(&format!("error: {variable}: ")), "{}", ended.err);
        assert!(ended.err.contains(says), "{variable}={value}: {}", ended.err);
    }
}

#[test]
fn an_invalid_address_is_named_by_its_variable_or_flag() {
    let mut command = gemini_grpc(["serve", "--sandbox"]);
    command.env("GEMINI_GRPC_LISTEN", "localhost");
    let ended = run(command);
    assert!(ended.code == Some(2) && is_one_sentence(&ended), "{}", ended.err);
    assert!(ended.err.contains("GEMINI_GRPC_LISTEN: \"localhost\" cannot be used: "), "{}", ended.err);
    // If the value comes from a flag, the flag is named.
    let ended = run(gemini_grpc(["serve", "--listen", "localhost"]));
    assert!(ended.code == Some(2) && ended.err.contains("--listen"), "{}", ended.err);
}

#[test]
fn service_variables_of_kubernetes_are_ignored() {
    let ended = serve_with(&[
        ("GEMINI_GRPC_SERVICE_HOST", "10.0.0.7"),
        ("GEMINI_GRPC_PORT", "tcp://10.0.0.7:50051"),
        ("GEMINI_GRPC_PORT_50051_TCP_ADDR", "10.0.0.7"),
        // A real mistake, so that the process ends.
        ("GEMINI_GRPC_CATALOG", "/no/such/file"),
    ]);
    assert!(ended.err.contains("GEMINI_GRPC_CATALOG"), "{}", ended.err);
}

#[test]
fn an_invalid_key_is_refused_and_not_printed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    fs::write(&file, SECRET).unwrap();
    let file = file.to_str().unwrap();
    let with_flag = run(gemini_grpc(["serve", "--sandbox", "--api-key", SECRET]));
    for (ended, variable) in [
        (serve_with(&[("MOUNTSEA_API_KEY", SECRET)]), "MOUNTSEA_API_KEY: "),
        (serve_with(&[("MOUNTSEA_API_KEY", "")]), "MOUNTSEA_API_KEY: "),
        (with_flag, "MOUNTSEA_API_KEY: "),
        (serve_with(&[("MOUNTSEA_API_KEY_FILE", file)]), "MOUNTSEA_API_KEY_FILE: "),
        // A file with the key in place of another one, and a key in a URL.
        (serve_with(&[("GEMINI_GRPC_CATALOG", file)]), "GEMINI_GRPC_CATALOG: "),
        (serve_with(&[("GEMINI_GRPC_UPSTREAM_URL", "https://h/?key=sk-12345")]), "GEMINI_GRPC_UPSTREAM_URL: "),
    ] {
        assert_eq!(ended.code, Some(2), "{}", ended.err);
        assert!(is_one_sentence(&ended) && ended.err.contains(variable), "{}", ended.err);
        assert!(!ended.err.contains("12345") && !ended.err.contains("67890"), "{}", ended.err);
    }
}

#[test]
fn a_key_and_a_key_file_cannot_be_set_together() {
    let ended = serve_with(&[("MOUNTSEA_API_KEY", "sk-12345"), ("MOUNTSEA_API_KEY_FILE", "/no/such/file")]);
    assert!(ended.code == Some(2) && ended.err.contains("--api-key-file"), "{}", ended.err);
    assert!(!ended.err.contains("sk-12345"), "{}", ended.err);
}

#[test]
fn an_invalid_catalog_is_named_with_the_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("models.toml");
    for (text, says) in [
        ("[[image_model]]\nids = [\"a\"]\nratios = []\n", "models.toml: line 3: unknown field `ratios`"),
        ("# models\n[[image_model\n", "models.toml: line 2: "),
        ("[[image_model]]\nids = []\n", "models.toml: image_model 1: ids must name the model"),
    ] {
        fs::write(&file, text).unwrap();
        let ended = serve_with(&[("GEMINI_GRPC_CATALOG", file.to_str().unwrap())]);
        assert!(ended.code == Some(2) && is_one_sentence(&ended) && ended.err.contains(says), "{}", ended.err);
    }
}

#[test]
fn an_invalid_callers_file_is_named_with_the_line_and_not_printed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("callers.toml");
    let path = file.to_str().unwrap();
    let with = |text: &str, key: &str| {
        fs::write(&file, text).unwrap();
        serve_with(&[("GEMINI_GRPC_AUTH", "tokens"), ("GEMINI_GRPC_CALLERS", path), ("MOUNTSEA_API_KEY", key)])
    };
    for (text, says) in [
        ("", "callers.toml: it names no callers; add one as [callers.NAME]"),
        (SECRET, "callers.toml: line 1: "),
        ("[callers.a]\ntoken_sha256 = 'sk-12345'\n", "callers.toml: line 2: callers.a.token_sha256: 64 hex digits are"),
        ("[callers.a]\nsan = 'a'\n", "callers.toml: callers.a: token_sha256 is missing"),
    ] {
        let ended = with(text, "own");
        assert!(ended.code == Some(2) && is_one_sentence(&ended) && ended.err.contains(says), "{}", ended.err);
        assert!(ended.err.starts_with("error: GEMINI_GRPC_CALLERS: ") && !ended.err.contains("12345"), "{}", ended.err);
    }
    let ended = run(gemini_grpc(["serve", "--auth", "tokens", "--callers", path]));
    assert!(ended.code == Some(2) && is_one_sentence(&ended), "{}", ended.err);
    assert!(ended.err.contains("GEMINI_GRPC_AUTH: tokens needs a key of the gateway's own"), "{}", ended.err);
    let flags = ["serve", "--auth", "tokens", "--callers", "/no/such/file", "--api-key", "own"];
    assert!(run(gemini_grpc(flags)).err.contains("GEMINI_GRPC_CALLERS: cannot read /no/such/file"));
}

/// The variables of `serve` that name a file.
fn file_variables() -> Vec<String> {
    let help = run(gemini_grpc(["serve", "--help"])).out;
    let after_file = help.split("<FILE>").skip(1);
    let variables = after_file.map(|text| text.split("[env: ").nth(1).unwrap().split('=').next().unwrap().to_owned());
    variables.collect()
}

#[test]
fn special_and_too_large_files_are_refused_for_every_variable() {
    let (files, authority) = (Files::new(), Authority::new());
    let issued = authority.issue();
    let callers = format!("[callers.a]\ntoken_sha256 = '{}'\n", "0".repeat(64));
    let (cert, key) = (files.write("cert", &issued.cert), files.write("cert-key", &issued.key));
    let (ca, empty, callers) =
        (files.write("ca", &authority.pem), files.write("empty", ""), files.write("callers", &callers));
    let (api_key, filter) = (files.write("key", "own"), files.write("filter", "info"));
    let store = files.write("store", "rediss://127.0.0.1:1");
    // Valid files. The loop below replaces one at a time.
    let usable = [
        ("MOUNTSEA_API_KEY_FILE", &*api_key),
        ("GEMINI_GRPC_AUTH", "tokens"),
        ("GEMINI_GRPC_CALLERS", &callers),
        ("GEMINI_GRPC_CATALOG", &empty),
        ("GEMINI_GRPC_LIMITS_URL_FILE", &store),
        ("GEMINI_GRPC_LOG_FILTER_FILE", &filter),
        ("GEMINI_GRPC_TLS_CERT", &cert),
        ("GEMINI_GRPC_TLS_KEY", &key),
        ("GEMINI_GRPC_TLS_CLIENT_CA", &ca),
        ("GEMINI_GRPC_UPSTREAM_CERT", &cert),
        ("GEMINI_GRPC_UPSTREAM_CERT_KEY", &key),
        ("OTEL_TRACES_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", &cert),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", &key),
    ];
    let path = |name: &str| format!("{empty}-{name}");
    assert!(Command::new("mkfifo").arg(path("pipe")).status().unwrap().success());
    let _socket = UnixListener::bind(path("socket")).unwrap();
    fs::create_dir(path("folder")).unwrap();
    symlink("/dev/zero", path("zero")).unwrap();
    fs::File::create(path("large")).unwrap().set_len((1 << 20) + 1).unwrap();
    let variables = file_variables();
    assert!(variables.len() >= 13, "{variables:?}");
    for variable in variables {
        for (name, says) in [
            ("pipe", "it is a pipe; a regular file is expected"),
            ("socket", "it is a socket; a regular file is expected"),
            ("folder", "it is a directory; a regular file is expected"),
            ("zero", "it is a device; a regular file is expected"),
            ("large", "it is larger than 1 MiB; the wrong file?"),
        ] {
            let mut command = gemini_grpc(["serve", "--sandbox", "--listen", "127.0.0.1:0"]);
            command.envs(usable).env(&variable, path(name));
            let ended = run(command);
            assert_eq!(ended.code, Some(2), "{variable} {name}: {}", ended.err);
            assert_eq!(ended.err, format!("error: {variable}: cannot read {}: {says}\n", path(name)));
        }
    }
}

#[test]
fn a_gateway_with_a_key_needs_authentication_to_listen_on_a_network() {
    let serve = |flags: &[&'static str]| gemini_grpc(["serve", "--listen", "0.0.0.0:0"].iter().chain(flags).copied());
    let ended = run(serve(&["--api-key", "sk-12345"]));
    assert!(ended.code == Some(2) && is_one_sentence(&ended) && !ended.err.contains("12345"), "{}", ended.err);
    assert!(ended.err.starts_with("error: GEMINI_GRPC_AUTH: this gateway has a key and listens on 0.0.0.0:0, "));
    assert!(ended.err.contains("set GEMINI_GRPC_AUTH to tokens or mtls, or to none if that is meant"));
    // Without a key, or with a sandbox, nothing has to be protected.
    for flags in [&["--api-key", "sk-12345", "--auth", "none"][..], &["--sandbox"], &[]] {
        let mut command = serve(flags);
        let mut running = Running::start(command.args(["--log-format", "json"]));
        running.err().wait_for(|line| field(line, "address"));
    }
}

#[test]
fn an_address_in_use_exits_with_1() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for command in ["serve", "sandbox"] {
        let mut arguments = vec![command, "--listen", &address];
        if command == "serve" {
            arguments.extend(["--sandbox", "--log", "error"]);
        }
        let ended = run(gemini_grpc(arguments));
        assert_eq!(ended.code, Some(1), "{}", ended.err);
        assert!(is_one_sentence(&ended), "{}", ended.err);
        assert!(ended.err.contains(&format!("cannot listen on {address}: Address already in use")), "{}", ended.err);
    }
}

#[test]
fn a_machine_without_certificate_authorities_is_reported_with_the_variable_to_set() {
    let mut command = gemini_grpc(["serve", "--sandbox", "--listen", "127.0.0.1:0", "--log", "error"]);
    command.env("SSL_CERT_FILE", "/dev/null").env("SSL_CERT_DIR", "/no/such/folder");
    let ended = run(command);
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    assert!(is_one_sentence(&ended), "{}", ended.err);
    for says in ["No CA certificates were loaded", "GEMINI_GRPC_UPSTREAM_CA"] {
        assert!(ended.err.contains(says), "{}", ended.err);
    }
}

#[test]
fn call_reads_its_files_before_it_sends_anything() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        fs::write(folder.path().join(name), text).unwrap();
        folder.path().join(name).to_str().unwrap().to_owned()
    };
    let (text, broken, wrong) = (write("a.txt", "x"), write("b.json", "{"), write("c.json", r#"{"googleSearch": 3}"#));
    assert!(Path::new(&text).exists());
    for (arguments, says) in [
        (["--image", &text], "--image: "),
        (["--image", "/no/such/file.png"], "--image: cannot read /no/such/file.png"),
        (["--tools", "/no/such/file"], "--tools: /no/such/file: "),
        (["--tools", &broken], "b.json: "),
        (["--tools", &wrong], "c.json: "),
        (["--endpoint", "127.0.0.1:50051"], "--endpoint: "),
        (["--endpoint", "ftp://127.0.0.1:50051"], "--endpoint: "),
        (["--ca", &text], "--ca and --cert are for https://"),
    ] {
        for flags in [&["hello"][..], &["hello", "--rest"]] {
            let ended = run(gemini_grpc(["call"].into_iter().chain(flags.iter().copied()).chain(arguments)));
            assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.err);
            assert!(is_one_sentence(&ended) && ended.err.contains(says), "{arguments:?}: {}", ended.err);
        }
    }
    let ended = run(gemini_grpc(["call"]));
    assert!(ended.code == Some(2) && ended.err.contains("a prompt is required"), "{}", ended.err);
}
