//! The paths of the REST API: `/v1beta/models/{model}:{action}`, `/v1beta/models/{model}` and `/v1beta/models`, also with
//! `v1`, and with `/gemini` in front.

use std::sync::{Arc, LazyLock};

use percent_encoding::percent_decode_str;

use super::unserved;
use crate::gemini::method::Method;

/// What may stand in front of the version: the base URL of the Compat API ends with it.
const PREFIXES: [&str; 2] = ["", "/gemini"];
/// Both are the same: upstream gets v1beta, the only version that Mountsea documents.
const VERSIONS: [&str; 2] = ["v1", "v1beta"];

/// A pattern of paths.
#[derive(Debug)]
pub(super) struct Route {
    /// The path, with `{model}` for the name of a model.
    pub(super) pattern: String,
    /// The method and the pattern, for telemetry.
    pub(super) name: String,
    pub(super) method: Method,
}

impl Route {
    /// The method of HTTP that it takes.
    pub(super) fn verb(&self) -> &'static str {
        verb(self.method)
    }
}

fn verb(method: Method) -> &'static str {
    if method.describes_models() { "GET" } else { "POST" }
}

/// What a path names.
#[derive(Debug, PartialEq)]
pub(super) enum Target {
    /// A known method. `model` is percent-decoded and not validated; it is empty for the list of models.
    Method { route: &'static Route, model: Arc<str> },
    /// A method of a model that is not offered.
    OtherMethod { action: String },
    /// Anything else; the text says what to use instead.
    Nothing { advice: &'static str },
}

static ROUTES: LazyLock<Vec<Route>> = LazyLock::new(|| {
    let mut routes = Vec::new();
    for (prefix, version) in PREFIXES.iter().flat_map(|prefix| VERSIONS.map(|version| (prefix, version))) {
        for method in Method::ALL {
            let rest = match method {
                Method::ListModels => String::new(),
                Method::GetModel => "/{model}".to_owned(),
                _ => format!("/{{model}}:{}", method.action()),
            };
            let pattern = format!("{prefix}/{version}/models{rest}");
            routes.push(Route { name: format!("{} {pattern}", verb(*method)), pattern, method: *method });
        }
    }
    routes
});

impl PartialEq for Route {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// Reads a path. Its last part is decoded once, so `models%2Fx` is `models/x`, and `%3A` is the colon of an action.
pub(super) fn find(path: &str) -> Target {
    let nothing = || Target::Nothing { advice: unserved::advice(path) };
    let (prefix, rest) = match path.strip_prefix("/gemini/") {
        Some(rest) => (1, rest),
        None => (0, path.strip_prefix('/').unwrap_or(path)),
    };
    let Some((version, rest)) = rest.split_once('/') else { return nothing() };
    let Some(version) = VERSIONS.iter().position(|known| *known == version) else { return nothing() };
    let first = (prefix * VERSIONS.len() + version) * Method::ALL.len();
    let routes = ROUTES.get(first..).unwrap_or_default().iter().take(Method::ALL.len());
    let route = |method| routes.clone().find(|route| route.method == method);
    let found = |method, model: &str| route(method).map(|route| Target::Method { route, model: model.into() });
    if rest == "models" {
        return found(Method::ListModels, "").unwrap_or_else(nothing);
    }
    let Some(name) = rest.strip_prefix("models/").filter(|name| !name.is_empty()) else { return nothing() };
    let Ok(name) = percent_decode_str(name).decode_utf8() else { return nothing() };
    let Some((model, action)) = name.rsplit_once(':') else {
        return found(Method::GetModel, &name).unwrap_or_else(nothing);
    };
    let method = Method::from_action(action).and_then(|method| found(method, model));
    method.unwrap_or_else(|| Target::OtherMethod { action: action.to_owned() })
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    use super::*;

    fn method(path: &str) -> (Method, Arc<str>, &'static str) {
        match find(path) {
            Target::Method { route, model } => (route.method, model, &route.pattern),
            other => panic!("{path}: {other:?}"),
        }
    }

    #[test]
    fn every_method_is_found_under_every_version_and_prefix() {
        for (prefix, version) in PREFIXES.iter().flat_map(|prefix| VERSIONS.map(|version| (prefix, version))) {
            for expected in Method::ALL {
                let path = match expected {
                    Method::ListModels => format!("{prefix}/{version}/models"),
                    Method::GetModel => format!("{prefix}/{version}/models/gemini-2.5-flash"),
                    _ => format!("{prefix}/{version}/models/gemini-2.5-flash:{}", expected.action()),
                };
                let (found, model, pattern) = method(&path);
                let named = if *expected == Method::ListModels { "" } else { "gemini-2.5-flash" };
                assert_eq!((found, &*model), (*expected, named), "{path}");
                assert_eq!(pattern, path.replace("gemini-2.5-flash", "{model}"));
            }
        }
    }

    #[test]
    fn a_name_is_decoded_once() {
        for (written, model) in [
            ("a%2Fb:generateContent", "a/b"),
            ("models%2fx:generateContent", "models/x"),
            ("models/x:generateContent", "models/x"),
            ("x%3AgenerateContent", "x"),
            ("x:y%3agenerateContent", "x:y"),
            ("%2578:generateContent", "%78"),
            ("gem%C3%ADni:generateContent", "gemíni"),
            ("a+b:generateContent", "a+b"),
            ("a%:generateContent", "a%"),
            (":generateContent", ""),
        ] {
            assert_eq!(&*method(&format!("/v1beta/models/{written}")).1, model, "{written}");
        }
    }

    #[test]
    fn other_paths_name_nothing() {
        for path in [
            "/",
            "",
            "/v1",
            "/v1/",
            "/v1/models/",
            "/v2/models/x:generateContent",
            "/v1/model/x:generateContent",
            "//v1/models/x:generateContent",
            "/gemini/gemini/v1/models/x:generateContent",
            "/v1/models/x%ff:generateContent",
            "/V1/models/x:generateContent",
            "/v1%2Fmodels/x:generateContent",
            "/gemini",
            "/geminiv1/models/x:generateContent",
        ] {
            assert!(matches!(find(path), Target::Nothing { .. }), "{path}: {:?}", find(path));
        }
        for (path, action) in [
            ("/v1/models/x:batchGenerateContent", "batchGenerateContent"),
            ("/v1/models/x:generateContent/", "generateContent/"),
            ("/v1/models/x:generateContents", "generateContents"),
            ("/v1/models/x:GenerateContent", "GenerateContent"),
            ("/v1/models/x:", ""),
        ] {
            assert_eq!(find(path), Target::OtherMethod { action: action.to_owned() }, "{path}");
        }
    }
}
