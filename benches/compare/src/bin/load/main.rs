//! The load of the comparison: a closed loop of requests, in short slices against several targets in turn.
//!
//! One line for each slice goes to standard output, tab-separated: round, name, requests, errors, wall nanoseconds, the
//! target's processor nanoseconds, median and 99th percentile of the latency in nanoseconds, bytes received, bytes sent.

mod connection;
mod settings;
mod slice;

use std::{
    error::Error,
    io::{self, ErrorKind, Write},
};

use grafana_token_proxy_compare::{
    aim::Aim,
    answer::Reader,
    socket::{self, Got},
    wire::Wire,
};

use crate::{
    settings::{PATIENCE, Settings},
    slice::Load,
};

fn main() -> Result<(), Box<dyn Error>> {
    let settings = settings::read()?;
    let mut load = Load::new(&settings)?;
    let mut out = io::stdout().lock();
    let mut targets: Vec<_> = load.targets(&settings);
    let count = targets.len();
    for round in 0..settings.rounds {
        for turn in 0..count {
            // Each round starts with another target, so that none always follows the same neighbour.
            let turn = (turn + round as usize) % count;
            let Some(target) = targets.get_mut(turn) else { continue };
            let slice = load.slice(target)?;
            writeln!(out, "{round}\t{}\t{slice}", target.aim.name)?;
            out.flush()?;
        }
    }
    if settings.hold > 0 {
        let Some(target) = settings.targets.first() else { return Ok(()) };
        let _held = hold(&settings, target)?;
        writeln!(out, "held")?;
        out.flush()?;
        io::stdin().read_line(&mut String::new())?;
    }
    Ok(())
}

/// Opens so many connections, each with one answer behind it, and keeps them: one after another, since what is measured
/// is the memory of idle connections and not of answers outstanding.
fn hold(settings: &Settings, target: &Aim) -> io::Result<Vec<Wire>> {
    let request = target.request();
    let mut buffer = vec![0; 64 * 1024];
    let mut held = Vec::with_capacity(settings.hold);
    for _ in 0..settings.hold {
        let mut wire = settings.opening.open(target.address)?;
        wire.write_all(request.as_bytes())?;
        let mut reader = Reader::default();
        let end = std::time::Instant::now() + PATIENCE;
        loop {
            match socket::read(&mut wire, &mut buffer, true)? {
                Got::Bytes(length, _) => {
                    if reader.take(buffer.get(..length).unwrap_or_default())?.is_some() {
                        break;
                    }
                }
                Got::Nothing if std::time::Instant::now() < end => std::thread::yield_now(),
                Got::Nothing | Got::End => return Err(ErrorKind::UnexpectedEof.into()),
            }
        }
        held.push(wire);
    }
    Ok(held)
}
