//! A slice of load against one target.

use std::{
    fmt,
    io::{self, ErrorKind},
    time::{Duration, Instant},
};

use grafana_token_proxy_compare::{aim::Aim, processor, wire::Opening};
use mio::{Events, Interest, Poll, Token};

use crate::{
    connection::Connection,
    settings::{PATIENCE, Settings},
};

/// A target, and the connections to it.
pub(crate) struct Target {
    pub(crate) aim: Aim,
    connections: Vec<Connection>,
    /// The number of its first connection among those of all.
    base: usize,
    last_token: u64,
}

/// How all of them are asked.
pub(crate) struct Load {
    poll: Poll,
    buffer: Vec<u8>,
    time: Duration,
    count: Option<u64>,
    settle: Duration,
    opening: Opening,
    http2: bool,
    fresh: bool,
    interest: Interest,
}

impl Load {
    pub(crate) fn new(settings: &Settings) -> io::Result<Self> {
        Ok(Self {
            poll: Poll::new()?,
            buffer: vec![0; 256 * 1024],
            time: settings.slice,
            count: settings.requests,
            settle: settings.settle,
            opening: settings.opening.clone(),
            http2: settings.http2,
            fresh: settings.fresh,
            interest: if settings.uploads { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE },
        })
    }

    /// The targets, whose connections are to be opened.
    pub(crate) fn targets(&self, settings: &Settings) -> Vec<Target> {
        let mut base = 0;
        let target = |aim: &Aim| {
            let request = aim.request();
            let connections: Vec<_> = (0..aim.connections).map(|_| Connection::new(request.clone())).collect();
            let begin = base;
            base += aim.connections;
            Target { aim: aim.clone(), connections, base: begin, last_token: aim.last }
        };
        settings.targets.iter().map(target).collect()
    }

    /// Sends to one target until the time is over or the count is reached, and waits for every answer, so that the
    /// processor time belongs to these requests alone. What has still to be done behind the answers (a log, a page of
    /// refusals) has the time of `settle` for it, and is counted, too.
    pub(crate) fn slice(&mut self, target: &mut Target) -> io::Result<Slice> {
        let each = target.connections.len();
        if !self.fresh {
            for index in 0..each {
                self.open(target, index)?;
            }
        }
        let (process, status) = (target.aim.process, target.aim.status);
        let processor = process.map_or(0, processor::nanoseconds);
        let start = Instant::now();
        let mut slice = Slice::default();
        let (mut outstanding, mut started) = (0_u64, 0_u64);
        let mut events = Events::with_capacity(1024);
        let (count, time) = (self.count, self.time);
        let may_send = |started: u64, now: Instant| match count {
            Some(count) => started < count,
            None => now.duration_since(start) < time,
        };
        for index in 0..each {
            if may_send(started, start) {
                self.send(target, index, &mut slice)?;
                outstanding += 1;
                started += 1;
            }
        }
        while outstanding > 0 {
            match self.poll.poll(&mut events, Some(PATIENCE)) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                other => other?,
            }
            if events.is_empty() {
                slice.errors += outstanding;
                let waiting = target.connections.iter_mut().filter(|connection| connection.sent.is_some());
                waiting.for_each(Connection::forget);
                break;
            }
            for event in &events {
                let index = event.token().0.wrapping_sub(target.base);
                let Some(connection) = target.connections.get_mut(index) else { continue };
                let Some(sent) = connection.sent else { continue };
                slice.sent += connection.send_on().unwrap_or_default() as u64;
                let came = connection.receive(&mut self.buffer, event.is_read_closed(), &mut slice.received);
                let now = Instant::now();
                let sound = match came {
                    Ok(None) => continue,
                    Ok(Some(came)) if came == status => {
                        slice.latencies.push(now.duration_since(sent));
                        true
                    }
                    Ok(Some(status)) => slice.fail(&io::Error::other(format!("status {status}"))),
                    Err(error) => slice.fail(&error),
                };
                connection.sent = None;
                if !sound || self.fresh {
                    connection.forget();
                }
                outstanding -= 1;
                if may_send(started, now) {
                    self.send(target, index, &mut slice)?;
                    outstanding += 1;
                    started += 1;
                }
            }
        }
        slice.wall = start.elapsed();
        std::thread::sleep(self.settle);
        slice.processor = process.map_or(0, processor::nanoseconds).saturating_sub(processor);
        slice.latencies.sort_unstable();
        Ok(slice)
    }

    fn open(&self, target: &mut Target, index: usize) -> io::Result<()> {
        let Target { aim, connections, base, .. } = target;
        let Some(connection) = connections.get_mut(index).filter(|connection| connection.wire.is_none()) else {
            return Ok(());
        };
        let mut wire = self.opening.open(aim.address)?;
        self.poll.registry().register(wire.socket(), Token(*base + index), self.interest)?;
        connection.take(wire, self.http2);
        Ok(())
    }

    /// Sends one request with the next token.
    fn send(&self, target: &mut Target, index: usize, slice: &mut Slice) -> io::Result<()> {
        let now = Instant::now();
        self.open(target, index)?;
        let Target { aim, connections, last_token, .. } = target;
        let Some(connection) = connections.get_mut(index) else { return Ok(()) };
        if aim.tokens > 1 {
            *last_token = (*last_token + 1) % aim.tokens;
            connection.request.set_token(*last_token % aim.distinct);
        }
        connection.send(&aim.path, now);
        slice.sent += connection.send_on().unwrap_or_default() as u64;
        Ok(())
    }
}

/// What one slice measured.
#[derive(Default)]
pub(crate) struct Slice {
    latencies: Vec<Duration>,
    errors: u64,
    wall: Duration,
    processor: u64,
    received: u64,
    sent: u64,
}

impl Slice {
    fn fail(&mut self, error: &io::Error) -> bool {
        if self.errors == 0 {
            eprintln!("load: {error}");
        }
        self.errors += 1;
        false
    }

    fn percentile(&self, part: usize) -> u128 {
        self.latencies.get(self.latencies.len() * part / 100).map_or(0, Duration::as_nanos)
    }
}

impl fmt::Display for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (requests, wall) = (self.latencies.len(), self.wall.as_nanos());
        let (median, late) = (self.percentile(50), self.percentile(99));
        let Self { errors, processor, received, sent, .. } = self;
        write!(f, "{requests}\t{errors}\t{wall}\t{processor}\t{median}\t{late}\t{received}\t{sent}")
    }
}
