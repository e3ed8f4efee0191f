//! Accepts connections in one place, and passes each to the worker that has the least to do.
//!
//! The kernel would choose a worker by a hash of the addresses (SO_REUSEPORT): of 8 connections one of two workers then has
//! 5 or more in seven cases of ten, and clients that keep their connections for hours keep it so.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::connection::Connections;
use super::drain::{DrainPhase, reached};
use super::listener::accept;
use super::open::{OpenConnections, Place};
use crate::gateway::{Weight, WorkerLoad};

/// A connection without a call for one to two of these no longer counts for the choice of a worker.
const LOAD_PERIOD: Duration = Duration::from_secs(10);

/// Accepts connections for several workers, on the thread that runs the server: a worker that is busy delays no other.
#[derive(Debug)]
pub(super) struct Dispatcher {
    listener: TcpListener,
    workers: Vec<Target>,
    open: OpenConnections,
    phases: watch::Receiver<DrainPhase>,
}

/// A worker, as the dispatcher sees it.
#[derive(Debug)]
struct Target {
    load: Arc<WorkerLoad>,
    queue: UnboundedSender<Accepted>,
}

/// A connection on its way to a worker. It belongs to no runtime.
#[derive(Debug)]
struct Accepted {
    stream: std::net::TcpStream,
    caller: SocketAddr,
    place: Place,
}

/// Where a worker gets its connections from.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) load: Arc<WorkerLoad>,
    source: Source,
}

#[derive(Debug)]
enum Source {
    /// The only worker accepts them itself, which saves waking another thread.
    Listener {
        listener: TcpListener,
        open: OpenConnections,
        phases: watch::Receiver<DrainPhase>,
    },
    Dispatcher(UnboundedReceiver<Accepted>),
}

/// Where this many workers get their connections from. A single one needs no dispatcher.
pub(super) fn divide(
    listener: TcpListener,
    workers: usize,
    open: OpenConnections,
    phases: watch::Receiver<DrainPhase>,
) -> (Vec<Incoming>, Option<Dispatcher>) {
    if workers == 1 {
        let source = Source::Listener { listener, open, phases };
        return (vec![Incoming { load: WorkerLoad::new(0), source }], None);
    }
    #[expect(clippy::disallowed_methods, reason = "each connection in it has its place among those that may be open")]
    let divided = (0..workers).map(|number| {
        let (queue, queued) = unbounded_channel();
        let load = WorkerLoad::new(number);
        (Incoming { load: load.clone(), source: Source::Dispatcher(queued) }, Target { load, queue })
    });
    let (incoming, workers) = divided.unzip();
    (incoming, Some(Dispatcher { listener, workers, open, phases }))
}

impl Incoming {
    /// Serves every connection that comes, until listeners are closed.
    pub(super) async fn serve(self, connections: &Connections) -> std::io::Result<()> {
        match self.source {
            Source::Listener { listener, open, phases } => {
                let (listener, load) = (tokio::net::TcpListener::from_std(listener)?, self.load);
                let serve = |stream, caller, place| connections.serve(stream, caller, place);
                tokio::select! {
                    () = accept(listener, &open, || load.connect(1), serve) => {}
                    () = reached(phases, DrainPhase::Closing) => {}
                }
            }
            // It ends with the dispatcher, so a connection that was accepted just before is not lost.
            Source::Dispatcher(mut queue) => {
                while let Some(Accepted { stream, caller, place }) = queue.recv().await {
                    match TcpStream::from_std(stream) {
                        Ok(stream) => connections.serve(stream, caller, place),
                        Err(error) => tracing::warn!(%caller, %error, "cannot serve a connection that was accepted"),
                    }
                }
            }
        }
        Ok(())
    }
}

impl Dispatcher {
    /// Begins to accept. The returned future ends when listeners are closed, or when all workers have ended.
    pub(super) fn start(self) -> std::io::Result<impl Future<Output = ()> + Send> {
        let Self { listener, workers, open, phases } = self;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        Ok(async move {
            let mut turn = 0;
            let weigh = || weigh(&workers, &mut turn);
            let pass = |stream, caller, place| pass(&workers, stream, caller, place);
            let all_ended = async {
                for worker in &workers {
                    worker.queue.closed().await;
                }
            };
            tokio::select! {
                () = accept(listener, &open, weigh, pass) => {}
                () = renew_loads(&open) => {}
                () = all_ended => {}
                () = reached(phases, DrainPhase::Closing) => {}
            }
        })
    }
}

/// Chooses the worker whose connections have the fewest calls, and counts another connection for it. With as many calls it
/// is the one with fewer connections, and the next one in turn if these are as many too.
fn weigh(workers: &[Target], turn: &mut usize) -> Weight {
    let expected_calls = WorkerLoad::expected_calls(workers.iter().map(|worker| &*worker.load));
    let from_turn = (0..workers.len()).map(|number| (*turn + number) % workers.len());
    let chosen = from_turn.min_by_key(|number| {
        let Target { load, queue } = &workers[*number];
        // A worker that has ended, because it panicked, takes none.
        (queue.is_closed(), load.calls(), load.connections())
    });
    let chosen = chosen.unwrap_or_default();
    *turn = chosen + 1;
    workers[chosen].load.connect(expected_calls)
}

/// Passes a connection to the worker that it counts for. If that one ends just now, the connection is closed, like the
/// others of that worker.
fn pass(workers: &[Target], stream: TcpStream, caller: SocketAddr, place: Place) {
    // The runtime that accepts no longer watches it.
    let Ok(stream) = stream.into_std() else { return };
    if let Some(worker) = workers.get(place.connection.worker()) {
        let _ = worker.queue.send(Accepted { stream, caller, place });
    }
}

/// Begins a period of the load of workers after the other.
async fn renew_loads(open: &OpenConnections) {
    let mut periods = interval(LOAD_PERIOD);
    periods.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        periods.tick().await;
        open.begin_load_period();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::gateway::Connection;
    use crate::server::capacity::Capacity;
    use crate::server::listener;

    /// A dispatcher that accepts for this many workers, which serve nothing; its address, and where the workers get their
    /// connections from.
    fn dispatcher(workers: usize) -> (Dispatcher, SocketAddr, Vec<Incoming>, watch::Sender<DrainPhase>) {
        let listener = listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, phases) = watch::channel(DrainPhase::Open);
        let open = OpenConnections::new(&Capacity::of_connections(100, false));
        let (incoming, dispatcher) = divide(listener, workers, open, phases);
        (dispatcher.unwrap(), address, incoming, sender)
    }

    async fn next(incoming: &mut Incoming) -> Option<Accepted> {
        match &mut incoming.source {
            Source::Dispatcher(queue) => queue.recv().await,
            Source::Listener { .. } => None,
        }
    }

    /// How many connections each worker has.
    fn spread(incoming: &[Incoming]) -> Vec<usize> {
        incoming.iter().map(|incoming| incoming.load.connections()).collect()
    }

    #[test]
    fn only_several_workers_need_a_dispatcher() {
        let listener = listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let open = OpenConnections::new(&Capacity::of_connections(1, false));
        let (incoming, dispatcher) = divide(listener, 1, open, watch::channel(DrainPhase::Open).1);
        assert!(dispatcher.is_none() && incoming.len() == 1);
    }

    #[tokio::test]
    async fn connections_of_a_worker_that_has_ended_go_to_the_others() {
        let (dispatcher, address, mut incoming, _phases) = dispatcher(3);
        let accepting = tokio::spawn(dispatcher.start().unwrap());
        drop(incoming.remove(1));
        let mut open = Vec::new();
        for number in 0..8 {
            open.push((TcpStream::connect(address).await.unwrap(), next(&mut incoming[number % 2]).await.unwrap()));
        }
        assert_eq!(spread(&incoming), [4, 4]);
        // Without any worker nothing more is accepted.
        drop(incoming);
        accepting.await.unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn a_connection_that_was_accepted_before_listeners_close_still_comes() {
        let (dispatcher, address, mut incoming, phases) = dispatcher(2);
        let accepting = tokio::spawn(dispatcher.start().unwrap());
        let _clients = [TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap()];
        while spread(&incoming) != [1, 1] {
            tokio::task::yield_now().await;
        }
        phases.send_replace(DrainPhase::Closing);
        accepting.await.unwrap();
        for incoming in &mut incoming {
            assert!(next(incoming).await.is_some() && next(incoming).await.is_none());
        }
    }

    #[test]
    fn a_new_connection_goes_where_connections_have_the_fewest_calls() {
        let (dispatcher, _, incoming, _phases) = dispatcher(2);
        let (workers, mut turn) = (dispatcher.workers, 0);
        let mut connect = || Connection::new(weigh(&workers, &mut turn));
        let loads = || [0, 1].map(|number: usize| (incoming[number].load.connections(), incoming[number].load.calls()));
        let busy = connect();
        let calls: Vec<_> = (0..10).map(|_| busy.begin_call()).collect();
        // As long as nothing is known of them, each may become like the first one.
        let others: Vec<_> = (0..5).map(|_| connect()).collect();
        assert_eq!(loads(), [(3, 30), (3, 30)]);
        let more: Vec<_> = others.iter().flat_map(|other| [other.begin_call(), other.begin_call()]).collect();
        let begin_period = || others.iter().chain([&busy]).for_each(|connection| connection.begin_load_period());
        begin_period();
        assert_eq!(loads(), [(3, 14), (3, 6)]);
        let new: Vec<_> = (0..3).map(|_| connect()).collect();
        assert_eq!(loads(), [(4, 18), (5, 14)]);
        // Connections that are idle weigh nothing.
        drop((calls, more));
        begin_period();
        begin_period();
        assert_eq!(loads(), [(4, 4), (5, 8)]);
        drop(new);
        assert_eq!(loads(), [(3, 0), (3, 0)]);
    }
}
