//! Fuzzes names of models, which become a part of upstream's URL.
#![no_main]

use std::sync::LazyLock;

use gemini_grpc::gemini::method::Method;
use gemini_grpc::gemini::model::ModelName;
use gemini_grpc::upstream::BaseUrl;
use libfuzzer_sys::fuzz_target;

const BASE: &str = "https://api.example:8443/gemini";
/// The same limit as in `model.rs`.
const MAX_LENGTH: usize = 256;

static UPSTREAM: LazyLock<BaseUrl> = LazyLock::new(|| BaseUrl::parse(BASE).unwrap());

fuzz_target!(|raw: &str| {
    let Ok(name) = ModelName::parse(raw) else {
        return no_plain_name_is_refused(raw);
    };
    it_is_the_bare_name(raw, &name);
    it_is_one_segment_of_the_url(&name, Method::GenerateContent, ":generateContent");
    it_is_one_segment_of_the_url(&name, Method::StreamGenerateContent, ":streamGenerateContent?alt=sse");
});

fn it_is_the_bare_name(raw: &str, name: &ModelName) {
    assert!(is_plain(name.as_str()), "{name}");
    assert!(raw == name.as_str() || raw == format!("models/{name}"), "{raw:?} became {name}");
    for spelling in [name.to_string(), format!("models/{name}")] {
        assert_eq!(ModelName::parse(&spelling).as_ref(), Ok(name));
    }
}

fn it_is_one_segment_of_the_url(name: &ModelName, method: Method, end: &str) {
    let url = UPSTREAM.path(name, method);
    assert_eq!(url.as_str(), format!("{BASE}/v1beta/models/{name}{end}"));
    assert_eq!(url.path_segments().unwrap().count(), 4, "{url}");
    // Parses the text again, because a server reads the text and not our parsed URL.
    let read = BaseUrl::parse(url.as_str().split('?').next().unwrap()).unwrap();
    assert_eq!(read.to_string(), url.as_str().split('?').next().unwrap());
}

fn no_plain_name_is_refused(raw: &str) {
    assert!(!is_plain(raw), "{raw:?}");
}

fn is_plain(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=MAX_LENGTH).contains(&name.len()) && name.bytes().all(plain) && name != "." && !name.contains("..")
}
