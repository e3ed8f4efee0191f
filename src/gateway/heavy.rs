//! Long pure work, on threads beside the workers: a worker serves many calls, and none of them waits for another's.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::Error;
use crate::gemini::steps::Steps;

/// Steps between two looks whether the call still wants the result: well below a millisecond.
const STEPS_BETWEEN_LOOKS: u64 = 10_000;

/// How much long work is done at a time, for the whole process.
#[derive(Clone, Debug)]
pub struct Heavy(Arc<Semaphore>);

impl Heavy {
    /// Up to so many at a time; at least one. More than there are cores would only share these with the workers.
    pub fn new(at_once: usize) -> Self {
        Self(Arc::new(Semaphore::new(at_once.max(1))))
    }

    /// Does the work on another thread, in its turn. If this future is dropped, for a deadline or because the caller
    /// has gone, the work is interrupted within a millisecond.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Steps<'_>) -> T + Send + 'static,
    ) -> Result<T, Error> {
        // Never closed.
        let turn = self.0.clone().acquire_owned().await.map_err(|_| Error::Panicked)?;
        let interrupted = CancellationToken::new();
        let _interrupt_on_drop = interrupted.clone().drop_guard();
        let working = tokio::task::spawn_blocking(move || {
            let may_continue = || !interrupted.is_cancelled();
            let done = work(&mut Steps::asking(STEPS_BETWEEN_LOOKS, &may_continue));
            drop(turn);
            done
        });
        working.await.map_err(|_| Error::Panicked)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn work_that_nobody_waits_for_is_interrupted() {
        let (ended, end) = mpsc::channel();
        let heavy = Heavy::new(1);
        let mut work = Box::pin(heavy.run(move |steps| {
            while steps.take(1).is_ok() {}
            ended.send(()).unwrap();
        }));
        // It has begun, and does not end by itself.
        assert!(std::future::poll_fn(|cx| std::task::Poll::Ready(work.as_mut().poll(cx).is_pending())).await);
        drop(work);
        tokio::task::spawn_blocking(move || end.recv().unwrap()).await.unwrap();
        // Its turn is over as well.
        assert_eq!(heavy.run(|steps| steps.take(1)).await.unwrap(), Ok(()));
    }

    #[tokio::test]
    async fn a_panic_is_an_error_of_the_call() {
        #[expect(clippy::panic, reason = "that is what it is for")]
        let ended = Heavy::new(1).run(|_| -> () { panic!("the prompt") }).await;
        assert!(matches!(ended, Err(Error::Panicked)));
    }
}
