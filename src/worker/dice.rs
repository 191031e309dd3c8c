//! Dice for whatever is to be spread: thrown by the machine, or by a seed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What splitmix64 adds to its state at each throw.
const STRIDE: u64 = 0x9e37_79b9_7f4a_7c15;

/// Dice. Clones throw in turn from the same seed.
#[derive(Debug, Clone, Default)]
pub struct Dice {
    /// `None`: the machine's own randomness.
    seed: Option<Arc<AtomicU64>>,
}

impl Dice {
    /// Dice that always fall the same way, for simulations.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self { seed: Some(Arc::new(AtomicU64::new(seed))) }
    }

    /// 0 to 999,999.
    #[must_use]
    pub fn throw(&self) -> u32 {
        match &self.seed {
            Some(state) => within(mix(state.fetch_add(STRIDE, Ordering::Relaxed))),
            None => machine(),
        }
    }

    /// A part of `longest`.
    #[must_use]
    pub fn part_of(&self, longest: Duration) -> Duration {
        longest * self.throw() / 1_000_000
    }
}

fn machine() -> u32 {
    let mut bytes = [0_u8; 8];
    match aws_lc_rs::rand::fill(&mut bytes) {
        Ok(()) => within(u64::from_be_bytes(bytes)),
        Err(_) => 500_000,
    }
}

/// Its upper bits, which are the better ones.
fn within(bits: u64) -> u32 {
    let scaled = ((bits >> 32) * 1_000_000) >> 32;
    u32::try_from(scaled).unwrap_or(999_999)
}

/// The finalizer of splitmix64.
fn mix(state: u64) -> u64 {
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeded_dice_fall_the_same_way_again() {
        let throws = |seed| {
            let dice = Dice::seeded(seed);
            (0..1000).map(|_| dice.throw()).collect::<Vec<_>>()
        };
        assert_eq!(throws(7), throws(7));
        assert_ne!(throws(7), throws(8));
        let mean = throws(7).iter().sum::<u32>() / 1000;
        assert!((450_000..550_000).contains(&mean), "{mean}");
    }

    #[test]
    fn every_throw_is_within_bounds() {
        assert_eq!((within(0), within(u64::MAX)), (0, 999_999));
        assert!((0..1000).all(|_| Dice::default().throw() < 1_000_000));
    }
}
