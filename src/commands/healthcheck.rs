//! `healthcheck`: whether the running proxy is live, for container health checks.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Command;

use super::output;
use crate::config::effective::Effective;
use crate::config::mistake::Mistake;
use crate::config::origin::Origin;
use crate::config::{arguments, keys};

/// For connecting, and again for the answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The arguments: those that say where the telemetry listener is.
pub fn command() -> Command {
    Command::new("healthcheck")
        .about("Succeeds if the running proxy is live; for container health checks")
        .arg(arguments::config_file())
        .args(keys::find("telemetry").map(arguments::setting))
}

/// 0 where `/livez` answers 200, else 1 and why.
pub fn healthcheck(effective: &Effective) -> ExitCode {
    // Other mistakes do not matter: the running proxy may have started from an earlier state of the file. A file that
    // cannot be read at all matters where it should have named the listener.
    let asks_file = !matches!(effective.origins.of("telemetry"), Origin::Flag(_) | Origin::Environment(_));
    let unreadable = |mistake: &Mistake| asks_file && mistake.key.is_empty() && mistake.text.is_none();
    let fatal: Vec<_> =
        effective.errors().filter(|mistake| mistake.key == "telemetry" || unreadable(mistake)).cloned().collect();
    if !fatal.is_empty() {
        output::report(&fatal);
        return ExitCode::FAILURE;
    }
    let Some(listener) = effective.config.admin.telemetry else {
        output::complain("telemetry is off: there is nothing to ask", "set telemetry to an address, as 127.0.0.1:9091");
        return ExitCode::FAILURE;
    };
    let address = reachable(listener);
    match ask(address) {
        Ok(status) if status.starts_with("200") => output::print(&format!("live: http://{address}/livez\n")),
        Ok(status) => {
            let cure = "see that the telemetry address is this proxy's, and read its log";
            output::complain(&format!("http://{address}/livez answers {status}"), cure);
            ExitCode::FAILURE
        }
        Err(error) => {
            let cure = "see that the proxy runs, and that --telemetry, GTP_TELEMETRY or the file name its listener";
            output::complain(&format!("http://{address}/livez does not answer: {error}"), cure);
            ExitCode::FAILURE
        }
    }
}

/// A listener on every address is reached on the loopback one.
fn reachable(mut listener: SocketAddr) -> SocketAddr {
    match listener.ip() {
        IpAddr::V4(address) if address.is_unspecified() => listener.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(address) if address.is_unspecified() => listener.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    listener
}

/// Asks for `/livez`, and returns the status line without the version.
fn ask(address: SocketAddr) -> std::io::Result<String> {
    const LONGEST_STATUS_LINE: usize = 256;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    let deadline = Instant::now() + PATIENCE;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(format!("GET /livez HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut line = Vec::new();
    let mut piece = [0; 64];
    // One deadline over all reads: an answer that drips is no answer.
    while !line.contains(&b'\n') && line.len() < LONGEST_STATUS_LINE {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(std::io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut piece)? {
            0 => break,
            length => line.extend(piece.iter().take(length)),
        }
    }
    let line = String::from_utf8_lossy(&line);
    let status = line.lines().next().unwrap_or_default();
    match status.strip_prefix("HTTP/1.1").or_else(|| status.strip_prefix("HTTP/1.0")) {
        Some(rest) => Ok(rest.trim().chars().filter(|c| !c.is_control()).collect()),
        None => Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "the answer is not HTTP")),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn answered(answer: &'static [u8]) -> std::io::Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let length = stream.read(&mut request).unwrap();
            stream.write_all(answer).unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        let status = ask(address);
        assert!(server.join().unwrap().starts_with("GET /livez HTTP/1.1\r\n"));
        status
    }

    #[test]
    fn the_status_line_is_read() {
        assert_eq!(answered(b"HTTP/1.1 200 OK\r\n\r\n").unwrap(), "200 OK");
        assert_eq!(answered(b"HTTP/1.1 503 Service Unavailable\r\n\r\n").unwrap(), "503 Service Unavailable");
        assert!(answered(b"SSH-2.0-OpenSSH\r\n").is_err());
        assert!(answered(b"").is_err());
    }

    #[test]
    fn listeners_everywhere_are_reached_on_loopback() {
        for (listener, address) in
            [("0.0.0.0:9091", "127.0.0.1:9091"), ("[::]:9091", "[::1]:9091"), ("10.0.0.1:1", "10.0.0.1:1")]
        {
            assert_eq!(reachable(listener.parse().unwrap()).to_string(), address);
        }
    }
}
