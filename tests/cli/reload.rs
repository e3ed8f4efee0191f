//! Files that are read again while `serve` runs.

use crate::certificates::Files;
use crate::support::{Gateway, field};

#[test]
fn a_file_that_changes_is_read_again_by_itself() {
    let files = Files::new();
    let file = files.write("key", "first-key");
    let mut gateway = Gateway::with(["--api-key-file", &file, "--reload-interval", "0.05"]);
    files.write("key", "second-key");
    assert_eq!(gateway.log.wait_for(|line| field(line, "changed")), "MOUNTSEA_API_KEY_FILE");
    assert_eq!(gateway.run(["call", "hello"]).code, Some(0));
}

#[test]
fn a_broken_file_is_named_and_the_old_one_stays_until_it_is_mended() {
    let files = Files::new();
    let (key, catalog) = (files.write("key", "first-key"), files.write("models.toml", ""));
    // Only when it is asked.
    let mut gateway = Gateway::with(["--api-key-file", &key, "--catalog", &catalog, "--reload-interval", "0"]);
    for broken in ["", "sk-12345 67890"] {
        files.write("key", broken);
        gateway.running.signal("HUP");
        let error = gateway.log.wait_for(|line| {
            assert!(!line.contains("12345"), "{line}");
            field(line, "error")
        });
        assert!(error.starts_with(&format!("MOUNTSEA_API_KEY_FILE: {key} holds no usable key")), "{error}");
        assert_eq!(gateway.run(["call", "hello"]).code, Some(0));
    }
    files.write("key", "second-key");
    files.write("models.toml", "# nothing yet");
    gateway.running.signal("HUP");
    let changed = gateway.log.wait_for(|line| field(line, "changed"));
    assert_eq!(changed, "MOUNTSEA_API_KEY_FILE, GEMINI_GRPC_CATALOG");
}

#[test]
fn sighup_without_a_change_reads_everything_again_all_the_same() {
    let mut gateway = Gateway::start();
    gateway.running.signal("HUP");
    assert_eq!(gateway.log.wait_for(|line| field(line, "changed")), "");
    assert_eq!(gateway.run(["healthcheck"]).code, Some(0));
}
