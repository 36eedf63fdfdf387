//! What a log tells of each caller, in bounded memory.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::{self, BufRead};

use super::bucket::Bucket;
use super::line::{self, Caller, Line, Request};
use super::order::{Arrival, Order};
use super::peak::Peak;
use crate::domain::demand::Demand;
use crate::domain::limit::Rate;
use crate::domain::path_rule::PathRules;

/// Callers that are told apart, about 600 bytes each; requests of further ones are counted.
const MOST_CALLERS: usize = 20_000;

/// A longer line is none of ours.
const LONGEST_LINE: u64 = 64 * 1024;

/// The refusals that were left out before a line came within so many nanoseconds before it.
const FOLDED: u64 = 1_000_000_000;

/// In so many steps.
const STEPS: u32 = 10;

/// How callers are judged.
#[derive(Clone, Debug)]
pub(super) struct Measure {
    /// What is asked of a credential.
    pub token: Rate,
    /// What is asked of an address.
    pub client: Rate,
    /// Paths that no limit sees.
    pub exempt: PathRules,
}

/// One caller.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    pub name: Option<String>,
    pub kind: Option<String>,
    pub requests: u64,
    pub first: u64,
    pub last: u64,
    pub demand: Demand,
    pub second: Peak<10>,
    pub minute: Peak<60>,
    pub bucket: Bucket,
}

impl Tally {
    fn new(rate: &Rate) -> Self {
        Self {
            name: None,
            kind: None,
            requests: 0,
            first: u64::MAX,
            last: 0,
            demand: Demand::default(),
            second: Peak::new(100_000_000),
            minute: Peak::new(1_000_000_000),
            bucket: Bucket::new(rate),
        }
    }

    fn observe(&mut self, at: u64, count: u32) {
        self.requests += u64::from(count);
        (self.first, self.last) = (self.first.min(at), self.last.max(at));
        for _ in 0..count {
            self.demand.observe(at, 1);
        }
        self.second.observe(at, count);
        self.minute.observe(at, count);
        self.bucket.observe(at, count);
    }
}

/// What was found in a log.
#[derive(Debug)]
pub(super) struct Tallies {
    pub measure: Measure,
    pub counts: Counts,
    callers: HashMap<Caller, usize>,
    tallies: Vec<Tally>,
    order: Order,
}

/// What is not about one caller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Starts of the program.
    pub starts: u64,
    /// Lines of served requests.
    pub served: u64,
    /// Lines of refused requests.
    pub refused: u64,
    /// Requests that were refused before the limits.
    pub early: u64,
    /// Requests for paths that are exempt.
    pub exempt: u64,
    /// Refusals that were left out of the log, and counted there.
    pub suppressed: u64,
    /// Requests of callers beyond those that are told apart.
    pub beyond: u64,
    /// Other lines.
    pub others: u64,
}

impl Tallies {
    pub(super) fn new(measure: Measure) -> Self {
        let (callers, tallies, order) = (HashMap::new(), Vec::new(), Order::default());
        Self { measure, counts: Counts::default(), callers, tallies, order }
    }

    /// Reads a whole log, line by line.
    pub(super) fn read(&mut self, mut log: impl BufRead) -> io::Result<()> {
        let mut bytes = Vec::new();
        let end = loop {
            match next_line(&mut log, &mut bytes) {
                Ok(true) => self.take(&bytes),
                Ok(false) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        // What was read before an error counts.
        self.order.finish(&mut give(&mut self.tallies));
        end
    }

    fn take(&mut self, bytes: &[u8]) {
        match line::read(bytes) {
            None => self.counts.others += 1,
            Some(Line::Start) => self.counts.starts += 1,
            Some(Line::Request(request)) => self.request(request),
        }
    }

    fn request(&mut self, request: Request) {
        if request.is_refusal {
            self.counts.refused += 1;
        } else {
            self.counts.served += 1;
        }
        let count = u64::from(request.suppressed) + 1;
        self.counts.suppressed += u64::from(request.suppressed);
        if !request.is_demand {
            self.counts.early += count;
            return;
        }
        if self.measure.exempt.matches_path(&request.path) {
            self.counts.exempt += count;
            return;
        }
        let rate = match request.caller {
            Caller::Address(_) => &self.measure.client,
            Caller::Token(_) | Caller::Credential(..) => &self.measure.token,
        };
        let next = self.tallies.len();
        let caller = match self.callers.entry(request.caller) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(_) if next >= MOST_CALLERS => {
                self.counts.beyond += count;
                return;
            }
            Entry::Vacant(new) => {
                self.tallies.push(Tally::new(rate));
                *new.insert(next)
            }
        };
        if let Some(tally) = self.tallies.get_mut(caller) {
            tally.name = request.name.or(tally.name.take());
            tally.kind = request.kind.or(tally.kind.take());
        }
        let mut go = give(&mut self.tallies);
        let at = request.told.saturating_sub(u64::try_from(request.duration.as_nanos()).unwrap_or(u64::MAX));
        // When exactly each of them came, nobody knows any more: evenly, as far as that is so.
        let (each, rest) = (request.suppressed / STEPS, request.suppressed % STEPS);
        for step in 0..STEPS {
            let count = each + u32::from(step < rest);
            if count > 0 {
                let at = at.saturating_sub(FOLDED / u64::from(STEPS) * u64::from(STEPS - step));
                self.order.put(request.told, Arrival { at, caller, count }, &mut go);
            }
        }
        self.order.put(request.told, Arrival { at, caller, count: 1 }, &mut go);
    }

    /// All callers with what is known of them.
    pub(super) fn into_callers(self) -> Vec<(Caller, Tally)> {
        let mut tallies: Vec<Option<Tally>> = self.tallies.into_iter().map(Some).collect();
        let take = |(caller, at): (Caller, usize)| Some((caller, tallies.get_mut(at)?.take()?));
        self.callers.into_iter().filter_map(take).collect()
    }
}

fn give(tallies: &mut [Tally]) -> impl FnMut(Arrival) {
    |arrival| {
        if let Some(tally) = tallies.get_mut(arrival.caller) {
            tally.observe(arrival.at, arrival.count);
        }
    }
}

/// Reads one line without its end; of one that is too long, only the beginning.
fn next_line(log: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let read = io::Read::take(&mut *log, LONGEST_LINE).read_until(b'\n', line)?;
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if read as u64 == LONGEST_LINE {
        log.skip_until(b'\n')?;
    }
    Ok(read > 0)
}

#[cfg(test)]
mod tests;
