//! Connections to the store: to one server, to the master that sentinels name, or to a cluster.

use std::fmt;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{RoutingInfo, SingleNodeRoutingInfo};
use redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, RedisConnectionInfo,
    RedisResult, TlsCertificates, TlsMode, Value,
};

use super::Config;
use super::url::{StoreUrl, Topology};

/// How long it may take to connect and to log in. No call waits for it.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How often a cluster is asked again after it has said that a slot has moved or that a node is away, and how long the
/// library waits before. The limit of each operation is ours.
const CLUSTER_RETRIES: u32 = 3;
const CLUSTER_RETRY_WAIT_MS: u64 = 10;

/// A connection that many requests share. A clone is the same connection.
#[derive(Clone)]
pub(super) enum Connection {
    Server(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Connection {
    /// Connects, which may take [`CONNECT_TIMEOUT`].
    pub(super) async fn open(config: &Config) -> RedisResult<Self> {
        let Config { url, ca, .. } = config;
        match &url.topology {
            Topology::Cluster => cluster(url, ca.as_deref()).await.map(Self::Cluster),
            Topology::Sentinel(name) => sentinel(url, name, ca.as_deref()).await.map(Self::Server),
            Topology::Single => single(url, ca.as_deref()).await.map(Self::Server),
        }
    }

    /// Sends a command and awaits its reply. Dropping this loses the reply alone: the command may be executed.
    pub(super) async fn query(&mut self, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::Server(connection) => command.query_async(connection).await,
            Self::Cluster(connection) => command.query_async(connection).await,
        }
    }

    /// Whether a server answers: for a cluster, one of them.
    pub(super) async fn ping(&mut self) -> RedisResult<Value> {
        let command = redis::cmd("PING");
        match self {
            Self::Server(connection) => command.query_async(connection).await,
            Self::Cluster(connection) => {
                connection.route_command(command, RoutingInfo::SingleNode(SingleNodeRoutingInfo::Random)).await
            }
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server(_) => "Server",
            Self::Cluster(_) => "Cluster",
        })
    }
}

/// Without a time limit of the library for replies: each operation has its own.
fn settings() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT_TIMEOUT)).set_response_timeout(None)
}

/// Certificates to trust in place of the system's.
fn certificates(ca: Option<&[u8]>) -> TlsCertificates {
    TlsCertificates { client_tls: None, root_cert: ca.map(<[u8]>::to_vec) }
}

fn addresses(url: &StoreUrl) -> impl Iterator<Item = ConnectionAddr> {
    url.hosts.iter().map(|(host, port)| match url.tls {
        true => ConnectionAddr::TcpTls { host: host.clone(), port: *port, insecure: false, tls_params: None },
        false => ConnectionAddr::Tcp(host.clone(), *port),
    })
}

fn nodes(url: &StoreUrl) -> RedisResult<Vec<ConnectionInfo>> {
    // Naming the library needs a right that Redis 7.0 cannot grant.
    let mut login = RedisConnectionInfo::default().set_db(url.database).set_skip_set_lib_name();
    if let Some(user) = &url.user {
        login = login.set_username(user);
    }
    if let Some(password) = &url.password {
        login = login.set_password(password);
    }
    addresses(url).map(|address| Ok(address.into_connection_info()?.set_redis_settings(login.clone()))).collect()
}

async fn single(url: &StoreUrl, ca: Option<&[u8]>) -> RedisResult<MultiplexedConnection> {
    let Some(node) = nodes(url)?.into_iter().next() else { return Err(no_host()) };
    let client = match url.tls {
        true => Client::build_with_tls(node, certificates(ca))?,
        false => Client::open(node)?,
    };
    client.get_multiplexed_async_connection_with_config(&settings()).await
}

async fn cluster(url: &StoreUrl, ca: Option<&[u8]>) -> RedisResult<ClusterConnection> {
    let mut builder = ClusterClientBuilder::new(nodes(url)?)
        .retries(CLUSTER_RETRIES)
        .min_retry_wait(CLUSTER_RETRY_WAIT_MS)
        .max_retry_wait(CLUSTER_RETRY_WAIT_MS * 5)
        .connection_timeout(CONNECT_TIMEOUT)
        // A node that does not reply is then looked for again.
        .response_timeout(CONNECT_TIMEOUT)
        .overall_response_timeout(None);
    if url.tls {
        builder = builder.tls(TlsMode::Secure).certs(certificates(ca));
    }
    builder.build()?.get_async_connection().await
}

/// The same user, password and certificates for the sentinels and for the server that they name.
async fn sentinel(url: &StoreUrl, name: &str, ca: Option<&[u8]>) -> RedisResult<MultiplexedConnection> {
    let mut builder = SentinelClientBuilder::new(addresses(url), name, SentinelServerType::Master)?
        .set_client_to_redis_db(url.database);
    if let Some(user) = &url.user {
        builder = builder.set_client_to_redis_username(user).set_client_to_sentinel_username(user);
    }
    if let Some(password) = &url.password {
        builder = builder.set_client_to_redis_password(password).set_client_to_sentinel_password(password);
    }
    if url.tls {
        builder = builder
            .set_client_to_redis_tls_mode(TlsMode::Secure)
            .set_client_to_redis_certificates(certificates(ca))
            .set_client_to_sentinel_tls_mode(TlsMode::Secure)
            .set_client_to_sentinel_certificates(certificates(ca));
    }
    builder.build()?.get_async_connection_with_config(&settings()).await
}

fn no_host() -> redis::RedisError {
    (redis::ErrorKind::InvalidClientConfig, "the URL names no host").into()
}
