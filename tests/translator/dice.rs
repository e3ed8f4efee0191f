//! Random choices from a list of numbers that proptest generates. When proptest shrinks the list, what was made of the
//! choices becomes simpler too: the first option is always the simplest one, and an exhausted list only gives first
//! options.

/// A source of random choices.
#[derive(Debug)]
pub struct Dice<'r> {
    rolls: std::slice::Iter<'r, u32>,
}

impl<'r> Dice<'r> {
    pub fn new(rolls: &'r [u32]) -> Self {
        Self { rolls: rolls.iter() }
    }

    /// Any number; 0 if the list is exhausted.
    pub fn roll(&mut self) -> u32 {
        self.rolls.next().copied().unwrap_or(0)
    }

    /// A number from 0 to `n` - 1.
    pub fn below(&mut self, n: usize) -> usize {
        self.roll() as usize % n
    }

    /// True with a probability of one in `n`.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == n - 1
    }

    /// A random number of 64 bits.
    pub fn bits(&mut self) -> u64 {
        u64::from(self.roll()) << 32 | u64::from(self.roll())
    }

    pub fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, last - self.below(last + 1));
        }
    }
}
