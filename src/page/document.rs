//! The HTML document, with its style and its script inside, and the policy that allows these two and nothing else.

use std::sync::LazyLock;

use bytes::Bytes;
use http::HeaderValue;
use sha2::{Digest as _, Sha256};

const HTML: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
/// The modules of the script, by the names of their files. Each comes after those that it imports.
const MODULES: [(&str, &str); 12] = [
    ("dom.js", include_str!("script/dom.js")),
    ("call.js", include_str!("script/call.js")),
    ("literals.js", include_str!("script/literals.js")),
    ("samples.js", include_str!("script/samples.js")),
    ("text.js", include_str!("script/text.js")),
    ("models.js", include_str!("script/models.js")),
    ("turn.js", include_str!("script/turn.js")),
    ("state.js", include_str!("script/state.js")),
    ("sample_panel.js", include_str!("script/sample_panel.js")),
    ("prompt.js", include_str!("script/prompt.js")),
    ("conversation.js", include_str!("script/conversation.js")),
    ("app.js", include_str!("script/app.js")),
];

/// The page as it is sent.
pub(super) struct Document {
    pub(super) body: Bytes,
    /// Changes with the body.
    pub(super) tag: HeaderValue,
    /// The value of `content-security-policy`.
    pub(super) policy: HeaderValue,
}

pub(super) static DOCUMENT: LazyLock<Document> = LazyLock::new(|| {
    let script = script();
    let body = HTML.replace("{style}", STYLE).replace("{script}", &script);
    let tag = format!("\"{}\"", &hash(&body)[..22]);
    // Without a policy or a tag the page would still be one that shows data as text only. Both are ASCII, so that this
    // does not happen.
    let header = |text: String| HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""));
    Document { tag: header(tag), policy: header(policy(&script)), body: body.into() }
});

/// All modules as one. A module inside of a document has no address from which another could import it; in one scope
/// the names of each are known to the next, so that neither imports nor exports are needed.
fn script() -> String {
    let lines = MODULES.iter().flat_map(|(_, module)| module.lines()).filter(|line| import(line).is_none());
    lines.flat_map(|line| [line.strip_prefix("export ").unwrap_or(line), "\n"]).collect()
}

/// The names that a line imports, and the file that they are from.
fn import(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("import { ")?.strip_suffix("';")?.split_once(" } from './")
}

/// The page runs its own script, calls its own origin and shows pictures that it was given; it loads nothing, is shown in
/// no frame, and cannot turn text into HTML.
fn policy(script: &str) -> String {
    format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; img-src 'self' data: blob:; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'",
        hash(script),
        hash(STYLE)
    )
}

fn hash(text: &str) -> String {
    base64_simd::STANDARD.encode_to_string(Sha256::digest(text))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_module_imports_only_what_the_modules_before_it_export() {
        for (index, (name, module)) in MODULES.iter().enumerate() {
            let imports: Vec<_> = module.lines().filter_map(import).collect();
            // An import in another form would stay in the script, where it has nothing to import from.
            assert_eq!(imports.len(), module.matches(" from './").count(), "{name}");
            for (names, file) in imports {
                let (_, exporting) = MODULES[..index].iter().find(|(name, _)| *name == file).unwrap();
                for imported in names.split(", ") {
                    let forms = ["const", "function", "async function", "class"];
                    let mut starts = forms.map(|form| format!("\nexport {form} {imported}")).into_iter();
                    assert!(starts.any(|start| exporting.contains(&start)), "{name}: {imported} of {file}");
                }
            }
        }
    }

    #[test]
    fn the_page_names_nothing_outside_of_it() {
        let body = str::from_utf8(&DOCUMENT.body).unwrap();
        for (index, _) in body.match_indices("://") {
            let around = &body[index.saturating_sub(8)..body.len().min(index + 24)];
            assert!(around.contains("www.w3.org/2000/svg"), "{around}");
        }
        assert!(!body.contains("{style}") && !body.contains("{script}"));
    }
}
