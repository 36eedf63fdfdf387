//! The most that came within a window that slides, slice by slice.

/// A window of `N` slices.
#[derive(Clone, Debug)]
pub(super) struct Peak<const N: usize> {
    /// Of so many nanoseconds.
    slice: u64,
    counts: [u32; N],
    latest: u64,
    most: u32,
}

impl<const N: usize> Peak<N> {
    pub(super) const fn new(slice: u64) -> Self {
        Self { slice, counts: [0; N], latest: 0, most: 0 }
    }

    /// Takes so many at a moment. One that lies before the latest counts with it; one that lies before the whole window
    /// begins anew.
    pub(super) fn observe(&mut self, at: u64, count: u32) {
        let (slice, length) = (at / self.slice.max(1), N as u64);
        if slice.abs_diff(self.latest) >= length {
            self.counts = [0; N];
            self.latest = slice;
        }
        while self.latest < slice {
            self.latest += 1;
            self.counts.rotate_right(1);
            if let Some(first) = self.counts.first_mut() {
                *first = 0;
            }
        }
        if let Some(first) = self.counts.first_mut() {
            *first = first.saturating_add(count);
        }
        self.most = self.most.max(self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count)));
    }

    /// The most so far.
    pub(super) const fn most(&self) -> u32 {
        self.most
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_the_most_of_any_window(gaps in prop::collection::vec((0..40u64, 1..5u32), 1..80)) {
            let mut peak = Peak::<10>::new(10);
            let (mut at, mut all) = (0, Vec::new());
            for (gap, count) in gaps {
                at += gap;
                all.push((at / 10, count));
                peak.observe(at, count);
            }
            let window = |end: u64| all.iter().filter(|(at, _)| *at <= end && at + 10 > end).map(|(_, count)| count).sum::<u32>();
            prop_assert_eq!(peak.most(), all.iter().map(|(end, _)| window(*end)).max().unwrap());
        }
    }

    #[test]
    fn another_time_begins_anew() {
        let mut peak = Peak::<10>::new(10);
        for at in [5000, 5000, 4995, 3, 4] {
            peak.observe(at, 1);
        }
        assert_eq!(peak.most(), 3);
    }
}
