//! Requests of the page that the gateway itself serves.

use std::net::IpAddr;

use http::Request;
use http::header::{HOST, ORIGIN};
use http::uri::Authority;

/// Whether the request comes from the page that this gateway itself served, under the same scheme, host and port.
///
/// In plaintext a name proves nothing: another site can let its own name point to this machine (DNS rebinding), and
/// then its pages send that name as `Origin` and as `Host`. So in plaintext only addresses and `localhost` count. With
/// TLS the browser has verified the name.
pub(super) fn is_own_origin<B>(request: &Request<B>, is_tls: bool) -> bool {
    let mut origins = request.headers().get_all(ORIGIN).iter();
    let (Some(origin), None) = (origins.next(), origins.next()) else { return false };
    let host = || request.headers().get(HOST).and_then(|host| Authority::try_from(host.as_bytes()).ok());
    let Some(authority) = request.uri().authority().cloned().or_else(host) else { return false };
    let scheme: &[u8] = if is_tls { b"https://" } else { b"http://" };
    let is_same = origin.as_bytes().strip_prefix(scheme);
    is_same.is_some_and(|given| given.eq_ignore_ascii_case(authority.as_str().as_bytes()))
        && (is_tls || is_unchangeable(authority.host()))
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
        let http1 = Request::get("/").header(ORIGIN, origin).header(HOST, authority).body(()).unwrap();
        let http2 = Request::get(format!("http://{authority}/")).header(ORIGIN, origin).body(()).unwrap();
        let [first, second] = [http1, http2].map(|request| is_own_origin(&request, tls));
        assert_eq!(first, second, "{origin} {authority}");
        first
    }

    #[test]
    fn a_page_of_the_gateway_itself_is_its_own() {
        for authority in
            ["127.0.0.1:50051", "localhost:50051", "LOCALHOST", "app.localhost:1", "[::1]:50051", "10.1.2.3"]
        {
            assert!(is_own(&format!("http://{authority}"), authority, false), "{authority}");
        }
        assert!(is_own("https://gemini.example.com", "gemini.example.com", true));
        assert!(is_own("https://10.1.2.3:50051", "10.1.2.3:50051", true));
    }

    #[test]
    fn a_request_with_several_origins_has_none() {
        let request = Request::get("http://localhost/").header(ORIGIN, "http://localhost");
        assert!(!is_own_origin(&request.header(ORIGIN, "http://localhost").body(()).unwrap(), false));
        assert!(!is_own_origin(&Request::get("http://localhost/").body(()).unwrap(), false));
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
