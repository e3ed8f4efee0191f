//! Runs the binary in a clean environment.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Much longer than any command takes.
const TIMEOUT: Duration = Duration::from_secs(120);

/// The binary, without any of its variables. RUST_BACKTRACE is unset too, since it changes the output.
pub fn gemini_grpc<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = without_settings(env!("CARGO_BIN_EXE_gemini-grpc"));
    command.args(arguments);
    command
}

/// A program without our variables in its environment.
pub fn without_settings(program: &str) -> Command {
    let mut command = Command::new(program);
    let ours = |name: &str| ["GEMINI_GRPC_", "MOUNTSEA_", "OTEL_"].iter().any(|prefix| name.starts_with(prefix));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(ours)) {
        command.env_remove(name);
    }
    command.env_remove("RUST_BACKTRACE").stdin(Stdio::null());
    command
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// Runs a command until it ends. After a timeout the command is killed, so that the test fails instead of hanging.
pub fn run(mut command: Command) -> Ended {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (pid, (send, ended)) = (child.id(), mpsc::channel());
    std::thread::spawn(move || send.send(child.wait_with_output()));
    let Ok(output) = ended.recv_timeout(TIMEOUT) else {
        send_signal("KILL", pid);
        panic!("{command:?} did not end");
    };
    let output = output.unwrap();
    let ended = Ended {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    };
    assert!(!ended.err.contains("panicked"), "{}", ended.err);
    ended
}

/// Sends one process a signal.
fn send_signal(name: &str, pid: u32) {
    let sent = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status();
    assert!(sent.unwrap().success());
}

/// Runs the binary until it ends.
pub fn run_with<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Ended {
    run(gemini_grpc(arguments))
}

/// The lines that a command writes, one by one.
pub struct Lines<R>(BufReader<R>);

impl<R: Read> Lines<R> {
    pub fn of(reader: R) -> Self {
        Self(BufReader::new(reader))
    }

    /// Waits for a line in which `find` finds something, and returns that.
    pub fn wait_for<T>(&mut self, find: impl Fn(&str) -> Option<T>) -> T {
        let mut seen = String::new();
        loop {
            let start = seen.len();
            let read = self.0.read_line(&mut seen).unwrap();
            assert!(read > 0, "the output ended without the expected line:\n{seen}");
            if let Some(found) = find(&seen[start..]) {
                return found;
            }
        }
    }

    /// The rest of the output, up to its end.
    pub fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.0.read_to_string(&mut rest).unwrap();
        rest
    }
}

/// A running command, which is killed on drop.
pub struct Running {
    pub child: Child,
}

impl Running {
    pub fn start(command: &mut Command) -> Self {
        Self { child: command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap() }
    }

    pub fn out(&mut self) -> Lines<std::process::ChildStdout> {
        Lines::of(self.child.stdout.take().unwrap())
    }

    pub fn err(&mut self) -> Lines<std::process::ChildStderr> {
        Lines::of(self.child.stderr.take().unwrap())
    }

    /// Sends this one process a signal.
    pub fn signal(&self, name: &str) {
        send_signal(name, self.child.id());
    }

    /// Waits until the command ends. Returns the exit code, or `None` if a signal killed it.
    pub fn code(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A gateway with a sandbox, both in one process.
pub struct Gateway {
    pub running: Running,
    pub log: Lines<std::process::ChildStderr>,
    pub endpoint: String,
}

impl Gateway {
    pub fn start() -> Self {
        Self::with([])
    }

    /// Starts a gateway with these flags, and without a drain delay.
    pub fn with<'a>(flags: impl IntoIterator<Item = &'a str>) -> Self {
        let fixed = ["serve", "--sandbox", "--listen", "127.0.0.1:0", "--workers", "1", "--log-format", "json"];
        let mut command = gemini_grpc(fixed);
        command.env("GEMINI_GRPC_DRAIN_DELAY", "0").args(flags);
        let mut running = Running::start(&mut command);
        let mut log = running.err();
        let (address, tls) = log.wait_for(|line| Some((field(line, "address")?, line.contains("\"tls\":true"))));
        let endpoint = format!("http{}://{address}", if tls { "s" } else { "" });
        Self { running, log, endpoint }
    }

    /// Runs a command that talks to this gateway.
    pub fn run<'a>(&'a self, arguments: impl IntoIterator<Item = &'a str>) -> Ended {
        run(self.command(arguments))
    }

    pub fn command<'a>(&'a self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = gemini_grpc(arguments);
        command.args(["--endpoint", &self.endpoint]);
        command
    }
}

/// A field of a log line.
pub fn field(line: &str, name: &str) -> Option<String> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    Some(line.get(name)?.as_str()?.to_owned())
}

/// The answer of the port for operators.
pub fn get(admin: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(admin).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The value of the first metric whose line starts with this name, and labels.
pub fn metric(admin: &str, start: &str) -> Option<f64> {
    let answer = get(admin, "/metrics");
    let line = answer.lines().find(|line| line.starts_with(start))?;
    Some(line.rsplit(' ').next().unwrap().parse().unwrap())
}

/// A line with placeholders for what differs from run to run: ports, times and request ids.
pub fn without_varying_words(line: &str) -> String {
    let word = |word: &str| {
        let bare = word.trim_end_matches(',');
        let time = bare.ends_with('s') && bare.starts_with(|c: char| c.is_ascii_digit());
        let id = bare.len() == 36 && bare.matches('-').count() == 4;
        match word.split_once("127.0.0.1:") {
            Some((before, _)) => format!("{before}ADDRESS"),
            None if time || id => "…".to_owned(),
            None => word.to_owned(),
        }
    };
    line.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
}
