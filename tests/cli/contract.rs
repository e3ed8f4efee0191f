//! `contract`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use prost_reflect::DescriptorPool;

use crate::support::run_with;

/// The files below a folder, by their paths in it.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![folder.to_owned()]);
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                found.insert(name, fs::read(path).unwrap());
            }
        }
    }
    found
}

#[test]
fn the_contract_is_written_as_it_is_in_the_repository() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("new/contract");
    let ended = run_with(["contract", "--out", out.to_str().unwrap()]);
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
    let written = files(&out);
    for name in written.keys() {
        assert!(ended.out.contains(&format!("{}\n", out.join(name).display())), "{name} is not in {}", ended.out);
    }
    assert!(ended.out.contains("buf generate"), "{}", ended.out);

    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut expected: BTreeMap<_, _> = files(&root.join("proto"))
        .into_iter()
        .filter(|(name, _)| name.ends_with(".proto"))
        .map(|(name, bytes)| (format!("proto/{name}"), bytes))
        .collect();
    for (name, path) in [
        ("buf.yaml", "buf.yaml"),
        ("buf.gen.yaml", "buf.gen.yaml"),
        ("service_config.json", "proto/service_config.json"),
    ] {
        expected.insert(name.to_owned(), fs::read(root.join(path)).unwrap());
    }
    let descriptors = written["contract.binpb"].as_slice();
    expected.insert("contract.binpb".to_owned(), descriptors.to_owned());
    assert_eq!(written.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (name, bytes) in &expected {
        assert!(written[name] == *bytes, "{name} differs from that of the repository");
    }

    let pool = DescriptorPool::decode(descriptors).unwrap();
    let rule = pool.get_extension_by_name("buf.validate.field").unwrap();
    let config = pool.get_message_by_name("mountsea.gemini.v1.GenerationConfig").unwrap();
    assert!(config.get_field_by_name("temperature").unwrap().options().has_extension(&rule));
    assert!(pool.services().any(|service| service.full_name() == "grpc.health.v1.Health"));
}

#[test]
fn a_folder_that_is_not_empty_is_written_to_only_with_force() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    fs::write(folder.path().join("mine.txt"), "mine").unwrap();
    fs::write(folder.path().join("buf.yaml"), "old").unwrap();
    let ended = run_with(["contract", "--out", out]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""));
    assert!(ended.err.contains("is not empty") && ended.err.contains("--force"), "{}", ended.err);
    assert_eq!(files(folder.path()).len(), 2);

    let ended = run_with(["contract", "--out", out, "--force"]);
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
    let written = files(folder.path());
    assert_eq!(written["mine.txt"], b"mine");
    assert!(written["buf.yaml"].starts_with(b"# Lint"));
}

#[test]
fn a_file_in_the_place_of_the_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("contract");
    fs::write(&file, "").unwrap();
    let ended = run_with(["contract", "--out", file.to_str().unwrap()]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.err.starts_with("error: --out: ") && ended.err.contains(file.to_str().unwrap()), "{}", ended.err);
    assert_eq!(run_with(["contract"]).code, Some(2));
}
