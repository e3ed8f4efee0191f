//! The HTML document, with its style and its script inside, and the policy that allows these two and nothing else.

use std::sync::LazyLock;

use bytes::Bytes;
use http::HeaderValue;
use sha2::{Digest as _, Sha256};

const HTML: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
/// The files are one module of JavaScript.
const SCRIPT: &str =
    concat!(include_str!("call.js"), include_str!("samples.js"), include_str!("view.js"), include_str!("app.js"));

/// The page as it is sent.
pub(super) struct Document {
    pub(super) body: Bytes,
    /// Changes with the body.
    pub(super) tag: HeaderValue,
    /// The value of `content-security-policy`.
    pub(super) policy: HeaderValue,
}

pub(super) static DOCUMENT: LazyLock<Document> = LazyLock::new(|| {
    let body = HTML.replace("{style}", STYLE).replace("{script}", SCRIPT);
    let tag = format!("\"{}\"", &hash(&body)[..22]);
    // Without a policy or a tag the page would still be one that shows data as text only. Both are ASCII, so that this
    // does not happen.
    let header = |text: String| HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""));
    Document { tag: header(tag), policy: header(policy()), body: body.into() }
});

/// The page runs its own script, calls its own origin and shows pictures that it was given; it loads nothing, is shown in
/// no frame, and cannot turn text into HTML.
fn policy() -> String {
    format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; img-src 'self' data: blob:; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'",
        hash(SCRIPT),
        hash(STYLE)
    )
}

fn hash(text: &str) -> String {
    base64_simd::STANDARD.encode_to_string(Sha256::digest(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_nothing_outside_of_it() {
        let body = HTML.replace("{style}", STYLE).replace("{script}", SCRIPT);
        for (index, _) in body.match_indices("://") {
            let around = &body[index.saturating_sub(8)..body.len().min(index + 24)];
            assert!(around.contains("www.w3.org/2000/svg"), "{around}");
        }
        assert!(!body.contains("{style}") && !body.contains("{script}"));
    }
}
