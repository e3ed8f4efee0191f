//! Signals of a server: stop, stop at once, read the files again.

use std::io::IsTerminal as _;
use std::sync::{Arc, OnceLock, mpsc};

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Failure, block_on};
use crate::server::Stop;

/// The exit code after a second signal, as a shell reports SIGTERM.
const EXIT_CODE_KILLED: i32 = 143;

/// Where signals go.
pub(super) struct Signals {
    /// The server that the first signal stops. Until it is set, a signal ends the process.
    pub(super) stop: Arc<OnceLock<Stop>>,
    /// One for each SIGHUP.
    pub(super) hangups: mpsc::Receiver<()>,
}

/// Listens from now on, on its own thread. This must come first: PID 1 ignores signals without a handler, so a SIGTERM
/// during start-up would be lost.
pub(super) fn listen() -> Result<Signals, Failure> {
    let stop = Arc::new(OnceLock::new());
    let (hangup, hangups) = mpsc::channel();
    let (ready, listening) = mpsc::channel();
    let to_stop = stop.clone();
    std::thread::spawn(move || block_on(handle(to_stop, hangup, ready)));
    match listening.recv() {
        Ok(()) => Ok(Signals { stop, hangups }),
        Err(_) => Err(Failure::Run("cannot install signal handlers".to_owned())),
    }
}

/// The first signal lets open calls end, the second does not.
async fn handle(stop: Arc<OnceLock<Stop>>, hangup: mpsc::Sender<()>, ready: mpsc::Sender<()>) {
    let signals = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()].map(signal);
    let [Ok(mut terminate), Ok(mut interrupt), Ok(mut hangups)] = signals else { return };
    if ready.send(()).is_err() {
        return;
    }
    wait(&mut terminate, &mut interrupt, &mut hangups, &hangup).await;
    match stop.get() {
        Some(stop) => {
            tracing::info!("stopping; a second signal ends at once");
            stop.stop();
        }
        // Nothing is served yet, so nothing is lost.
        None => std::process::exit(0),
    }
    wait(&mut terminate, &mut interrupt, &mut hangups, &hangup).await;
    std::process::exit(EXIT_CODE_KILLED);
}

/// Waits for a signal that stops, and passes the others on.
async fn wait(terminate: &mut Signal, interrupt: &mut Signal, hangups: &mut Signal, hangup: &mpsc::Sender<()>) {
    // With a terminal, SIGHUP means that the terminal is gone.
    let terminal = std::io::stderr().is_terminal();
    loop {
        tokio::select! {
            _ = terminate.recv() => return,
            _ = interrupt.recv() => return,
            _ = hangups.recv() => match terminal {
                true => return,
                false => drop(hangup.send(())),
            },
        }
    }
}
