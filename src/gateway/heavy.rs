//! Runs long pure work on threads of its own, so that the other calls of a worker do not wait for it.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::error::Error;
use crate::gemini::steps::Steps;

/// After this many steps, which take much less than a millisecond, the work checks whether the call still wants the
/// result.
const STEPS_BETWEEN_CHECKS: u64 = 10_000;

/// Limits how much long work runs at a time, in the whole process.
#[derive(Clone, Debug)]
pub struct Heavy(Arc<Semaphore>);

impl Heavy {
    /// At most `at_once` at a time, and at least one. More than there are cores would only slow down the workers.
    pub fn new(at_once: usize) -> Self {
        Self(Arc::new(Semaphore::new(at_once.max(1))))
    }

    /// Runs the work on another thread, when it is its turn. If this future is dropped, at a deadline or because the
    /// caller cancelled, the work is interrupted within a millisecond.
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
            let done = work(&mut Steps::asking(STEPS_BETWEEN_CHECKS, &may_continue));
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
    async fn work_is_interrupted_when_its_future_is_dropped() {
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
        // It has given its turn back.
        assert_eq!(heavy.run(|steps| steps.take(1)).await.unwrap(), Ok(()));
    }

    #[tokio::test]
    async fn a_panic_is_an_error_of_the_call() {
        #[expect(clippy::panic, reason = "that is what it is for")]
        let ended = Heavy::new(1).run(|_| -> () { panic!("the prompt") }).await;
        assert!(matches!(ended, Err(Error::Panicked)));
    }
}
