//! IPv4 and IPv6 on one address.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use gemini_grpc::server::Server;
use gemini_grpc::telemetry::Telemetry;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::frames::{Raw, SETTINGS};
use crate::support::{Upstream, config};

/// Set in the process that runs the test in a separate network.
const IN_SEPARATE_NETWORK: &str = "TEST_WITH_BINDV6ONLY";

#[tokio::test]
async fn listening_on_all_ipv6_addresses_includes_ipv4() {
    let mut config = config(&Upstream::answering("").await, &["--admin-listen", "[::]:0"]);
    config.listen.set_ip(Ipv6Addr::UNSPECIFIED.into());
    let server = Server::bind(&config, &Telemetry::default(), None).unwrap();
    let (address, admin, stop) = (server.address(), server.admin_address().unwrap(), server.stop_handle());
    let running = std::thread::spawn(move || server.run().unwrap());
    let has_ipv6 = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    let families = [Some(Ipv4Addr::LOCALHOST.into()), has_ipv6.then_some(Ipv6Addr::LOCALHOST.into())];
    for ip in families.into_iter().flatten() {
        assert!(Raw::open(SocketAddr::new(ip, address.port())).await.next_of(SETTINGS).await.is_some(), "{ip}");
        let mut probe = TcpStream::connect((ip, admin.port())).await.unwrap();
        probe.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        probe.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{ip}: {answer}");
    }
    stop.stop();
    running.join().unwrap();
}

/// Runs the test above in a separate network, in which sockets of IPv6 serve no IPv4 by default (`bindv6only`). Does
/// nothing if the machine does not allow a separate network.
#[test]
#[cfg(target_os = "linux")]
fn the_kernels_default_for_ipv6_sockets_makes_no_difference() {
    use std::process::Command;

    if std::env::var_os(IN_SEPARATE_NETWORK).is_some() {
        return;
    }
    let network = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--net", "sh", "-c"]);
        command.arg(format!("echo 1 >/proc/sys/net/ipv6/bindv6only && ip link set lo up && {script}"));
        command
    };
    if !network("true").output().is_ok_and(|tried| tried.status.success()) {
        return;
    }
    let mut command = network("exec \"$0\" --exact families::listening_on_all_ipv6_addresses_includes_ipv4");
    let tested = command.arg(std::env::current_exe().unwrap()).env(IN_SEPARATE_NETWORK, "1").output().unwrap();
    let printed = String::from_utf8_lossy(&tested.stdout);
    assert!(tested.status.success() && printed.contains("1 passed"), "{printed}");
}
