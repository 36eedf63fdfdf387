//! The load of the comparison: a closed loop of GETs, in short slices against several targets in turn.
//!
//! One line for each slice goes to standard output, tab-separated: round, name, requests, errors, wall nanoseconds, the
//! target's processor nanoseconds, median and 99th percentile of the latency in nanoseconds, bytes received.

use std::{
    error::Error,
    io::{self, ErrorKind, Write},
    net::SocketAddr,
    time::{Duration, Instant},
};

use grafana_token_proxy_compare::{
    aim::Aim,
    answer::Reader,
    processor,
    request::Request,
    socket::{self, Got},
};
use lexopt::prelude::*;
use mio::{Events, Interest, Poll, Token, net::TcpStream};

const USAGE: &str =
    "usage: load --target NAME,PORT[,PID[,TOKENS[,DISTINCT]]][,KEY=VALUE]…   (connections, path, status, headers, last)
            [--connections N] [--path PATH] [--status N] [--headers N]   where a target says nothing else
            [--rounds N --slice-ms N | --requests N] [--settle-ms N] [--hold N]";
/// No answer for so long counts as lost.
const PATIENCE: Duration = Duration::from_secs(10);

struct Target {
    aim: Aim,
    next_token: u64,
    connections: Vec<Connection>,
    /// The number of its first connection among those of all targets.
    base: usize,
}

struct Connection {
    stream: Option<TcpStream>,
    request: Request,
    reader: Reader,
    sent: Option<Instant>,
}

struct Settings {
    targets: Vec<Target>,
    rounds: u32,
    slice: Duration,
    requests: Option<u64>,
    settle: Duration,
    hold: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut settings = settings()?;
    let mut load = Load { poll: Poll::new()?, buffer: vec![0; 256 * 1024], settle: settings.settle };
    let mut out = io::stdout().lock();
    let count = settings.targets.len();
    for round in 0..settings.rounds {
        for turn in 0..count {
            // Each round starts with another target, so that none always follows the same neighbour.
            let turn = (turn + round as usize) % count;
            let Some(target) = settings.targets.get_mut(turn) else { continue };
            let slice = load.slice(target, settings.slice, settings.requests)?;
            writeln!(out, "{round}\t{}\t{slice}", target.aim.name)?;
            out.flush()?;
        }
    }
    if settings.hold > 0 {
        let Some(target) = settings.targets.first() else { return Ok(()) };
        let _held = hold(settings.hold, &target.aim)?;
        writeln!(out, "held")?;
        out.flush()?;
        io::stdin().read_line(&mut String::new())?;
    }
    Ok(())
}

/// Opens so many connections, each with one answer behind it, and keeps them: one after another, since what is measured
/// is the memory of idle connections and not of answers outstanding.
fn hold(count: usize, aim: &Aim) -> io::Result<Vec<std::net::TcpStream>> {
    let request = aim.request();
    let mut buffer = vec![0; 64 * 1024];
    let mut held = Vec::with_capacity(count);
    for _ in 0..count {
        let mut stream = std::net::TcpStream::connect(aim.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(request.as_bytes())?;
        let mut reader = Reader::default();
        loop {
            match socket::read(&stream, &mut buffer, true)? {
                Got::Bytes(length, _) => {
                    if reader.take(buffer.get(..length).unwrap_or_default())?.is_some() {
                        break;
                    }
                }
                Got::Nothing | Got::End => return Err(ErrorKind::UnexpectedEof.into()),
            }
        }
        held.push(stream);
    }
    Ok(held)
}

fn settings() -> Result<Settings, Box<dyn Error>> {
    let mut settings = Settings {
        targets: Vec::new(),
        rounds: 1,
        slice: Duration::from_millis(250),
        requests: None,
        settle: Duration::ZERO,
        hold: 0,
    };
    // What holds for all targets may be said after they are named.
    let (mut all, mut named) = (Aim::default(), Vec::new());
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("target") => named.push(arguments.value()?.string()?),
            Long(key @ ("connections" | "path" | "status" | "headers")) => {
                let key = key.to_owned();
                all.set(&key, &arguments.value()?.string()?)?;
            }
            Long("rounds") => settings.rounds = arguments.value()?.parse()?,
            Long("slice-ms") => settings.slice = Duration::from_millis(arguments.value()?.parse()?),
            Long("requests") => settings.requests = Some(arguments.value()?.parse()?),
            Long("settle-ms") => settings.settle = Duration::from_millis(arguments.value()?.parse()?),
            Long("hold") => settings.hold = arguments.value()?.parse()?,
            _ => return Err(format!("{}\n{USAGE}", argument.unexpected()).into()),
        }
    }
    if named.is_empty() {
        return Err(USAGE.into());
    }
    let mut base = 0;
    for text in named {
        let aim = Aim::read(&text, &all).map_err(|error| format!("{text}: {error}\n{USAGE}"))?;
        let request = aim.request();
        let connection =
            || Connection { stream: None, request: request.clone(), reader: Reader::default(), sent: None };
        let connections: Vec<_> = std::iter::repeat_with(connection).take(aim.connections).collect();
        let count = connections.len();
        settings.targets.push(Target { next_token: aim.last, aim, connections, base });
        base += count;
    }
    Ok(settings)
}

struct Load {
    poll: Poll,
    buffer: Vec<u8>,
    settle: Duration,
}

impl Load {
    /// Sends to one target until the time is over or the count is reached, and waits for every answer, so that the
    /// processor time belongs to these requests alone. What has still to be done behind the answers (a log, a page of
    /// refusals) has the time of `settle` for it, and is counted, too.
    fn slice(&mut self, target: &mut Target, time: Duration, count: Option<u64>) -> io::Result<Slice> {
        let Target { aim, next_token, connections, base } = target;
        let base = *base;
        for (index, connection) in connections.iter_mut().enumerate() {
            self.connect(connection, aim.address, base + index)?;
        }
        let processor = aim.process.map_or(0, processor::nanoseconds);
        let start = Instant::now();
        let mut slice = Slice::default();
        let mut outstanding = 0_u64;
        let mut started = 0_u64;
        let mut events = Events::with_capacity(1024);
        let may_send = |started: u64, now: Instant| match count {
            Some(count) => started < count,
            None => now.duration_since(start) < time,
        };
        for connection in connections.iter_mut() {
            if may_send(started, start) {
                send(connection, aim, next_token, Instant::now())?;
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
                for connection in connections.iter_mut().filter(|connection| connection.sent.is_some()) {
                    connection.forget();
                }
                break;
            }
            for event in &events {
                let index = event.token().0.wrapping_sub(base);
                let Some(connection) = connections.get_mut(index) else { continue };
                let Some(sent) = connection.sent else { continue };
                let came = self.receive(connection, aim.status, event.is_read_closed(), &mut slice);
                let now = Instant::now();
                match came {
                    Ok(false) => continue,
                    Ok(true) => slice.latencies.push(now.duration_since(sent)),
                    Err(error) => {
                        slice.fail(&error);
                        connection.forget();
                        self.connect(connection, aim.address, base + index)?;
                    }
                }
                connection.sent = None;
                outstanding -= 1;
                if may_send(started, now) {
                    send(connection, aim, next_token, now)?;
                    outstanding += 1;
                    started += 1;
                }
            }
        }
        slice.wall = start.elapsed();
        std::thread::sleep(self.settle);
        slice.processor = aim.process.map_or(0, processor::nanoseconds).saturating_sub(processor);
        slice.latencies.sort_unstable();
        Ok(slice)
    }

    fn connect(&self, connection: &mut Connection, address: SocketAddr, key: usize) -> io::Result<()> {
        if connection.stream.is_none() {
            let stream = std::net::TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            self.poll.registry().register(&mut stream, Token(key), Interest::READABLE)?;
            connection.stream = Some(stream);
        }
        Ok(())
    }

    /// Reads what has come; `true` when the answer is whole and right.
    fn receive(
        &mut self,
        connection: &mut Connection,
        status: u16,
        closed: bool,
        slice: &mut Slice,
    ) -> io::Result<bool> {
        let Some(stream) = &connection.stream else { return Ok(false) };
        loop {
            let length = match socket::read(stream, &mut self.buffer, closed)? {
                Got::Nothing => return Ok(false),
                Got::End => return Err(ErrorKind::UnexpectedEof.into()),
                Got::Bytes(length, _) => length,
            };
            slice.bytes += length as u64;
            if let Some(answer) = connection.reader.take(self.buffer.get(..length).unwrap_or_default())? {
                if answer.status != status {
                    return Err(io::Error::other(format!("status {}", answer.status)));
                }
                return Ok(true);
            }
            if length < self.buffer.len() && !closed {
                return Ok(false);
            }
        }
    }
}

impl Connection {
    fn forget(&mut self) {
        self.stream = None;
        self.reader = Reader::default();
        self.sent = None;
    }
}

/// Sends one request with the next token. A request is far smaller than a socket's buffer: it goes whole or not at all.
fn send(connection: &mut Connection, aim: &Aim, next: &mut u64, now: Instant) -> io::Result<()> {
    if aim.tokens > 1 {
        *next = (*next + 1) % aim.tokens;
        connection.request.set_token(*next % aim.distinct);
    }
    connection.sent = Some(now);
    if let Some(stream) = &connection.stream {
        // A broken pipe shows as the end of the answer, where it is counted.
        let _ = socket::write(stream, connection.request.as_bytes());
    }
    Ok(())
}

#[derive(Default)]
struct Slice {
    latencies: Vec<Duration>,
    errors: u64,
    wall: Duration,
    processor: u64,
    bytes: u64,
}

impl Slice {
    fn fail(&mut self, error: &io::Error) {
        if self.errors == 0 {
            eprintln!("load: {error}");
        }
        self.errors += 1;
    }

    fn percentile(&self, part: usize) -> u128 {
        self.latencies.get(self.latencies.len() * part / 100).map_or(0, Duration::as_nanos)
    }
}

impl std::fmt::Display for Slice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (requests, wall) = (self.latencies.len(), self.wall.as_nanos());
        let (median, late) = (self.percentile(50), self.percentile(99));
        write!(f, "{requests}\t{}\t{wall}\t{}\t{median}\t{late}\t{}", self.errors, self.processor, self.bytes)
    }
}
