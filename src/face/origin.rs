//! Requests that a page sends to the gateway which served it.

use std::net::IpAddr;

use http::HeaderValue;
use http::uri::Authority;

/// Whether `origin` is that of a page which this gateway served under `authority`, the request's host and port.
///
/// In plaintext, a name is not enough: a page of another site can let its name point to this machine later (DNS
/// rebinding), and then its requests carry its own name twice. So only addresses and `localhost` count there. With TLS
/// the browser has verified the name.
pub fn is_own_origin(origin: &HeaderValue, authority: &Authority, tls: bool) -> bool {
    let scheme = if tls { "https://" } else { "http://" };
    let is_same = origin.as_bytes().strip_prefix(scheme.as_bytes());
    is_same.is_some_and(|given| given.eq_ignore_ascii_case(authority.as_str().as_bytes()))
        && (tls || is_unchangeable(authority.host()))
}

/// Whether no other site can make this name its own.
fn is_unchangeable(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let name = host.to_ascii_lowercase();
    host.parse::<IpAddr>().is_ok() || name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn is_own(origin: &str, authority: &str, tls: bool) -> bool {
        is_own_origin(&origin.parse().unwrap(), &authority.parse().unwrap(), tls)
    }

    #[test]
    fn a_page_of_the_gateway_itself_is_its_own() {
        for authority in ["127.0.0.1:50051", "localhost:50051", "LOCALHOST", "app.localhost:1", "[::1]:50051", "10.1.2.3"] {
            assert!(is_own(&format!("http://{authority}"), authority, false), "{authority}");
        }
        assert!(is_own("https://gemini.example.com", "gemini.example.com", true));
        assert!(is_own("https://10.1.2.3:50051", "10.1.2.3:50051", true));
    }

    #[test]
    fn a_page_of_another_origin_is_not() {
        for (origin, authority, tls) in [
            ("http://evil.example", "127.0.0.1:50051", false),
            ("http://127.0.0.1:8080", "127.0.0.1:50051", false),
            ("https://127.0.0.1:50051", "127.0.0.1:50051", false),
            ("http://gemini.example.com", "gemini.example.com", true),
            ("https://evil.example", "gemini.example.com", true),
            ("null", "127.0.0.1:50051", false),
            // A name that was made to point here.
            ("http://evil.example:50051", "evil.example:50051", false),
            ("http://localhost.evil.example", "localhost.evil.example", false),
            ("http://127.0.0.1.evil.example", "127.0.0.1.evil.example", false),
        ] {
            assert!(!is_own(origin, authority, tls), "{origin} {authority}");
        }
    }
}
