//! The URL of the store: `redis://` or `rediss://[user:password@]host[:port][,host[:port]…][/db]`, with `?cluster=true` or
//! `?sentinel=NAME`.

use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_decode_str;

/// The ports of Redis and of Sentinel, where the URL names none.
const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26_379;

/// Where the store is, and how to log in. It is never shown as a whole: it may contain a password.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreUrl {
    pub(super) tls: bool,
    pub(super) hosts: Vec<(String, u16)>,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) database: i64,
    pub(super) topology: Topology,
}

/// How the hosts belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Topology {
    Single,
    /// The hosts are nodes of a cluster; others are found from there.
    Cluster,
    /// The hosts are sentinels, which know the master of this name.
    Sentinel(String),
}

/// Why a URL cannot be used. It repeats nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidStoreUrl {
    #[error("a URL such as redis://host:6379 or rediss://user:password@host:6379 is expected")]
    Scheme,
    #[error(
        "it names no host, or one that cannot be read; several are separated by commas, such as redis://a:6379,b:6379"
    )]
    Host,
    #[error("the user or the password cannot be read; encode characters such as @ : / ? # % as in any URL (%40 for @)")]
    Login,
    #[error("after the host only the number of a database may stand, such as /0")]
    Database,
    #[error("after ? only cluster=true or sentinel=NAME may stand")]
    Option,
    #[error("several hosts need ?cluster=true or ?sentinel=NAME")]
    SeveralHosts,
    #[error("a cluster has no databases; leave out the number")]
    ClusterDatabase,
}

impl StoreUrl {
    /// Whether connections are encrypted.
    pub fn has_tls(&self) -> bool {
        self.tls
    }
}

impl FromStr for StoreUrl {
    type Err = InvalidStoreUrl;

    fn from_str(text: &str) -> Result<Self, InvalidStoreUrl> {
        let (scheme, rest) = text.split_once("://").ok_or(InvalidStoreUrl::Scheme)?;
        let tls = match scheme {
            "redis" | "valkey" => false,
            "rediss" | "valkeys" => true,
            _ => return Err(InvalidStoreUrl::Scheme),
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let topology = topology(query)?;
        let port = if matches!(topology, Topology::Sentinel(_)) { SENTINEL_PORT } else { PORT };
        let hosts = hosts.split(',').map(|text| host(text, port)).collect::<Option<Vec<_>>>();
        let hosts = hosts.ok_or(InvalidStoreUrl::Host)?;
        if hosts.len() > 1 && topology == Topology::Single {
            return Err(InvalidStoreUrl::SeveralHosts);
        }
        let database =
            if path.is_empty() { Ok(0) } else { path.parse::<u16>() }.map_err(|_| InvalidStoreUrl::Database)?;
        if database > 0 && topology == Topology::Cluster {
            return Err(InvalidStoreUrl::ClusterDatabase);
        }
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        let (user, password) = (decoded(user)?, decoded(password)?);
        Ok(Self { tls, hosts, user, password, database: database.into(), topology })
    }
}

fn topology(query: &str) -> Result<Topology, InvalidStoreUrl> {
    match query.split_once('=') {
        None if query.is_empty() => Ok(Topology::Single),
        Some(("cluster", "true")) => Ok(Topology::Cluster),
        Some(("cluster", "false")) => Ok(Topology::Single),
        Some(("sentinel", name)) if !name.is_empty() && !name.contains('&') => Ok(Topology::Sentinel(name.to_owned())),
        _ => Err(InvalidStoreUrl::Option),
    }
}

/// A host and its port. An IPv6 address stands in brackets.
fn host(text: &str, port: u16) -> Option<(String, u16)> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(text) => text.split_once(']')?,
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let port = if rest.is_empty() { port } else { rest.strip_prefix(':')?.parse().ok().filter(|port| *port > 0)? };
    let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'%');
    (!host.is_empty() && host.bytes().all(is_name)).then(|| (host.to_owned(), port))
}

/// `None` for an empty text.
fn decoded(text: &str) -> Result<Option<String>, InvalidStoreUrl> {
    let text = percent_decode_str(text).decode_utf8().map_err(|_| InvalidStoreUrl::Login)?;
    Ok((!text.is_empty()).then(|| text.into_owned()))
}

/// The hosts alone, for log lines.
impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (host, port)) in self.hosts.iter().enumerate() {
            write!(f, "{}{host}:{port}", if index > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

/// Without user and password.
impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StoreUrl").field(&self.to_string()).finish()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_every_form_are_read() {
        let read = |text: &str| {
            let url: StoreUrl = text.parse().unwrap();
            let login = (url.user.clone().unwrap_or_default(), url.password.clone().unwrap_or_default());
            (url.tls, url.to_string(), login.0, login.1, url.database, url.topology)
        };
        let (single, cluster) = (Topology::Single, Topology::Cluster);
        let sentinel = Topology::Sentinel("main".to_owned());
        for (text, tls, hosts, user, password, database, topology) in [
            ("redis://cache", false, "cache:6379", "", "", 0, &single),
            ("redis://cache/", false, "cache:6379", "", "", 0, &single),
            ("rediss://:se%40cret@cache:7000/3", true, "cache:7000", "", "se@cret", 3, &single),
            ("redis://app:pass@10.0.0.7:1?cluster=false", false, "10.0.0.7:1", "app", "pass", 0, &single),
            ("redis://[::1]:7001,b?cluster=true", false, "::1:7001,b:6379", "", "", 0, &cluster),
            ("valkeys://u:p:q@a,b:1,c/2?sentinel=main", true, "a:26379,b:1,c:26379", "u", "p:q", 2, &sentinel),
        ] {
            let expected = (tls, hosts.into(), user.into(), password.into(), database, topology.clone());
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_url_is_said_and_nothing_of_it_is_repeated() {
        use InvalidStoreUrl::{ClusterDatabase, Database, Host, Login, Option, Scheme, SeveralHosts};
        for (text, error) in [
            ("", Scheme),
            ("hunter2:6379", Scheme),
            ("http://u:hunter2@a", Scheme),
            ("redis://", Host),
            ("redis://u:hunter2@", Host),
            ("redis://u:hunter2@a:port", Host),
            ("redis://u:hunter2@a:0", Host),
            ("redis://a,,b?cluster=true", Host),
            ("redis://u:hunter2%FF@a", Login),
            ("redis://a/hunter2", Database),
            ("redis://a/1/2", Database),
            ("redis://a?password=hunter2", Option),
            ("redis://a?sentinel=", Option),
            ("redis://a?cluster=true&db=1", Option),
            ("redis://u:hunter2@a,b", SeveralHosts),
            ("redis://a/1?cluster=true", ClusterDatabase),
        ] {
            let got = text.parse::<StoreUrl>().unwrap_err();
            assert_eq!(got, error, "{text}");
            assert!(!got.to_string().contains("hunter2"), "{text}");
        }
        let url: StoreUrl = "redis://app:hunter2@cache".parse().unwrap();
        assert_eq!(format!("{url:?}"), r#"StoreUrl("cache:6379")"#);
    }
}
