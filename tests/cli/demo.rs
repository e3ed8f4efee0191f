//! `demo`.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use image::image_dimensions;

use crate::support::{Running, gemini_grpc, run, run_with};

#[test]
fn the_demo_saves_two_pictures_and_reports_success() {
    let folder = tempfile::tempdir().unwrap();
    let pictures = folder.path().join("pictures");
    let ended = run_with(["demo", "--dir", pictures.to_str().unwrap()]);
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
    assert!(ended.out.contains("\nAll four went as they should.\n"), "{}", ended.out);
    let mut names: Vec<_> = pictures.read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["edited-1.png", "picture-1.png"]);
    for name in names {
        // The ratio is 16:9, with about one megapixel.
        assert_eq!(image_dimensions(pictures.join(name)).unwrap(), (1360, 765));
    }
}

#[test]
fn the_demo_can_go_on_with_a_page_in_a_browser() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = gemini_grpc(["demo", "--serve"]);
    let mut demo = Running::start(command.current_dir(&folder));
    let address = demo.out().wait_for(|line| {
        let (_, url) = line.split_once("A page to try it: http://")?;
        url.split_once('/').map(|(address, _)| address.to_owned())
    });
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n") && page.contains("<!doctype html>"), "{page}");
}

#[test]
fn a_live_demo_needs_a_key() {
    let ended = run_with(["demo", "--live"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.err.contains("MOUNTSEA_API_KEY"), "{}", ended.err);
}

#[test]
fn the_demo_ignores_the_settings_of_authentication() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = gemini_grpc(["demo"]);
    command.envs([("GEMINI_GRPC_AUTH", "tokens"), ("GEMINI_GRPC_CALLERS", "/no/such/file")]).current_dir(&folder);
    let ended = run(command);
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
}

#[test]
fn an_invalid_variable_of_the_gateway_is_named() {
    let mut command = gemini_grpc(["demo"]);
    command.env("GEMINI_GRPC_WORKERS", "many");
    let ended = run(command);
    assert_eq!(ended.code, Some(2));
    assert!(ended.err.starts_with("error: GEMINI_GRPC_WORKERS: \"many\" cannot be used: "), "{}", ended.err);
}
