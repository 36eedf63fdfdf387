//! The floor of the comparison: bytes from client to upstream and back, none of them looked at. `relay PORT UPSTREAM`
//!
//! No proxy on one thread that speaks HTTP can cost less than this.

use std::{
    error::Error,
    io::{self, ErrorKind},
    net::{Ipv4Addr, Shutdown, SocketAddr},
};

use grafana_token_proxy_compare::socket::{self, Got};
use mio::{
    Events, Interest, Poll, Token,
    net::{TcpListener, TcpStream},
};
use slab::Slab;

const LISTENER: Token = Token(usize::MAX);
const PIECE: usize = 64 * 1024;

/// A client and its upstream.
struct Pair {
    client: TcpStream,
    upstream: TcpStream,
    /// What was read and could not be written yet, towards the upstream and towards the client.
    waiting: [Vec<u8>; 2],
    /// Which directions have ended.
    ended: [bool; 2],
    /// Whether the connection to the upstream stands.
    connected: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut port = || Ok::<u16, Box<dyn Error>>(arguments.next().ok_or("usage: relay PORT UPSTREAM")?.parse()?);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port()?));
    let upstream = SocketAddr::from((Ipv4Addr::LOCALHOST, port()?));
    let mut listener = TcpListener::bind(address)?;
    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut pairs: Slab<Pair> = Slab::new();
    let mut events = Events::with_capacity(1024);
    let mut buffer = vec![0; PIECE];
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            other => other?,
        }
        for event in &events {
            if event.token() == LISTENER {
                accept(&listener, upstream, &poll, &mut pairs)?;
                continue;
            }
            // Two tokens for a pair: even the client's, odd the upstream's.
            let (key, side) = (event.token().0 / 2, event.token().0 % 2);
            let Some(pair) = pairs.get_mut(key) else { continue };
            let closed = event.is_read_closed();
            let mut done = Ok(());
            if event.is_writable() && pair.takes_again(side == 1) {
                done = pair.relay(side == 1, &mut buffer, false);
            }
            if done.is_ok() && (event.is_readable() || closed) {
                done = pair.relay(side == 0, &mut buffer, closed);
            }
            if done.is_err() || pair.ended == [true, true] {
                pairs.remove(key);
            }
        }
    }
}

fn accept(listener: &TcpListener, upstream: SocketAddr, poll: &Poll, pairs: &mut Slab<Pair>) -> io::Result<()> {
    loop {
        let (client, _) = match listener.accept() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            other => other?,
        };
        let upstream = TcpStream::connect(upstream)?;
        client.set_nodelay(true)?;
        upstream.set_nodelay(true)?;
        let entry = pairs.vacant_entry();
        let key = entry.key();
        let pair =
            entry.insert(Pair { client, upstream, waiting: Default::default(), ended: [false; 2], connected: false });
        let interest = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut pair.client, Token(key * 2), interest)?;
        poll.registry().register(&mut pair.upstream, Token(key * 2 + 1), interest)?;
    }
}

impl Pair {
    /// Whether there is something to do for a sink that can be written. Each event says so, also where nothing waits.
    fn takes_again(&mut self, upstream: bool) -> bool {
        if upstream && !self.connected {
            self.connected = true;
            return true;
        }
        let [to_server, to_client] = &self.waiting;
        if upstream { !to_server.is_empty() } else { !to_client.is_empty() }
    }

    /// Moves bytes in one direction until the source is empty or the sink is full.
    fn relay(&mut self, to_upstream: bool, buffer: &mut [u8], closed: bool) -> io::Result<()> {
        let [to_server, to_client] = &mut self.waiting;
        let [server_ended, client_ended] = &mut self.ended;
        let (source, sink, waiting, ended) = if to_upstream {
            (&self.client, &self.upstream, to_server, server_ended)
        } else {
            (&self.upstream, &self.client, to_client, client_ended)
        };
        if *ended || !self.connected {
            return Ok(());
        }
        if !waiting.is_empty() {
            let written = socket::write(sink, waiting)?;
            waiting.drain(..written);
            if !waiting.is_empty() {
                return Ok(());
            }
        }
        loop {
            match socket::read(source, buffer, closed)? {
                Got::End => {
                    *ended = true;
                    return sink.shutdown(Shutdown::Write);
                }
                Got::Nothing => return Ok(()),
                Got::Bytes(length, more) => {
                    let piece = buffer.get(..length).unwrap_or_default();
                    let written = socket::write(sink, piece)?;
                    if written < length {
                        waiting.extend_from_slice(piece.get(written..).unwrap_or_default());
                        return Ok(());
                    }
                    if !more {
                        return Ok(());
                    }
                }
            }
        }
    }
}
