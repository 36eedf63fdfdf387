//! Reading and writing sockets under edge-triggered readiness, with no system call that brings nothing.

use std::io::{ErrorKind, Read, Result, Write};

/// What one read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Got {
    /// So many bytes; `true` when the socket may hold more.
    Bytes(usize, bool),
    /// Nothing yet: an event will say when.
    Nothing,
    /// The other side has closed.
    End,
}

/// Reads once. A read that fills less than the buffer has emptied the socket (epoll(7), question 9), unless the other
/// side `closed`: then no further event would come, and the end must be read now.
///
/// # Errors
/// When the connection broke.
pub fn read(mut socket: impl Read, buffer: &mut [u8], closed: bool) -> Result<Got> {
    loop {
        return match socket.read(buffer) {
            Ok(0) => Ok(Got::End),
            Ok(length) => Ok(Got::Bytes(length, closed || length == buffer.len())),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Got::Nothing),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
    }
}

/// Writes once; 0 when the socket takes nothing now.
///
/// # Errors
/// When the connection broke.
pub fn write(mut socket: impl Write, bytes: &[u8]) -> Result<usize> {
    loop {
        return match socket.write(bytes) {
            Ok(length) => Ok(length),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
    }
}
