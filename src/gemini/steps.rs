//! Counts the work of pure code in steps, so that its caller can limit or interrupt it.
//!
//! A step is a field, an element, a member or a token, or [`BYTES_PER_STEP`] bytes that are copied or searched. It
//! takes some tens of nanoseconds. Steps are used instead of time because pure code has no clock, and because tests can
//! compare them.

/// Copying or searching this many bytes counts as one step.
pub const BYTES_PER_STEP: usize = 256;

/// The work was interrupted before it was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the work was interrupted")]
pub struct Interrupted;

/// A counter of steps with a limit.
pub struct Steps<'a> {
    /// The steps until the limit, or until `may_continue` is called next.
    left: u64,
    /// All steps that were allowed so far, counted or not.
    allowed: u64,
    /// The number of steps between two calls of `may_continue`.
    batch: u64,
    may_continue: Option<&'a dyn Fn() -> bool>,
}

impl<'a> Steps<'a> {
    /// A counter without a limit.
    pub fn unlimited() -> Self {
        Self::at_most(u64::MAX)
    }

    /// A counter that interrupts the work after `limit` steps.
    pub fn at_most(limit: u64) -> Self {
        Self { left: limit, allowed: limit, batch: 0, may_continue: None }
    }

    /// A counter that calls `may_continue` after each `batch` steps, and interrupts the work if it returns false.
    pub fn asking(batch: u64, may_continue: &'a dyn Fn() -> bool) -> Self {
        Self { left: batch, allowed: batch, batch, may_continue: Some(may_continue) }
    }

    /// Counts this many steps.
    ///
    /// # Errors
    ///
    /// The limit is reached, or `may_continue` returned false: the work must end.
    #[inline]
    pub fn take(&mut self, steps: u64) -> Result<(), Interrupted> {
        match self.left.checked_sub(steps) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => self.ask(steps),
        }
    }

    /// Counts the steps of copying or searching this many bytes. Fewer than [`BYTES_PER_STEP`] count as none.
    ///
    /// # Errors
    ///
    /// Those of [`Steps::take`].
    #[inline]
    pub fn take_bytes(&mut self, bytes: usize) -> Result<(), Interrupted> {
        if bytes < BYTES_PER_STEP { Ok(()) } else { self.take((bytes / BYTES_PER_STEP) as u64) }
    }

    /// The number of steps counted so far.
    pub fn taken(&self) -> u64 {
        self.allowed - self.left
    }

    #[cold]
    fn ask(&mut self, steps: u64) -> Result<(), Interrupted> {
        match self.may_continue {
            Some(may_continue) if may_continue() => {
                self.allowed += steps + self.batch;
                self.left += self.batch;
                Ok(())
            }
            _ => Err(Interrupted),
        }
    }
}

impl std::fmt::Debug for Steps<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Steps").field("taken", &self.taken()).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn work_is_interrupted_at_its_limit() {
        let mut steps = Steps::at_most(10);
        assert_eq!(steps.take(7), Ok(()));
        assert_eq!(steps.take(4), Err(Interrupted));
        assert_eq!(steps.take(3), Ok(()));
        assert_eq!((steps.take(1), steps.taken()), (Err(Interrupted), 10));
    }

    #[test]
    fn work_continues_as_long_as_its_caller_allows() {
        let asked = Cell::new(0);
        let may_continue = || asked.replace(asked.get() + 1) < 2;
        let mut steps = Steps::asking(10, &may_continue);
        let taken = (1..).take_while(|_| steps.take(1).is_ok()).count();
        assert_eq!((taken as u64, steps.taken()), (32, 32));
        assert_eq!((steps.take_bytes(BYTES_PER_STEP - 1), asked.get()), (Ok(()), 3));
    }
}
