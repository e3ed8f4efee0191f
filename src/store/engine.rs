//! The store with a real `redis-server`.
//!
//! `cargo test --lib store::engine -- --ignored` runs these; they need `redis-server` on the PATH.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod model;
mod outages;
mod schedules;

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use super::connection::Connection;

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// A server of its own, which ends with the test.
struct Server {
    process: Child,
    folder: TempDir,
}

impl Server {
    fn start() -> Self {
        Self::listening(0)
    }

    /// On this port too, unless it is 0.
    fn listening(port: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let process = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--save", "", "--appendonly", "no", "--unixsocket", "socket", "--dir"])
            .arg(folder.path())
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is needed: apt-get install redis-server");
        Self { process, folder }
    }

    async fn connect(&self) -> Connection {
        let url = format!("redis+unix://{}/socket", self.folder.path().display());
        let client = redis::Client::open(url).unwrap();
        // The library's own limit for replies would fail a test on a busy machine.
        let settings = redis::AsyncConnectionConfig::new().set_response_timeout(None);
        loop {
            match client.get_multiplexed_async_connection_with_config(&settings).await {
                Ok(connection) => return Connection::Server(connection),
                // It has not begun to listen.
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    }
}

impl Server {
    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}
