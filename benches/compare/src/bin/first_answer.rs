//! How long a program takes from its start to its first answer. `first_answer RUNS PORT COMMAND…`
//!
//! One line for each run: microseconds. Processes are started and asked from here, since an interpreter would add its
//! own milliseconds.

use std::{
    error::Error,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use grafana_token_proxy_compare::request::{self, Kind, Request};

const PATIENCE: Duration = Duration::from_secs(3);
/// Between two attempts: short beside a millisecond, long enough to leave the processor to the program.
const PAUSE: Duration = Duration::from_micros(50);

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().ok_or("usage: first_answer RUNS PORT COMMAND…");
    let runs: u32 = next()?.parse()?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, next()?.parse()?));
    let program = next()?;
    let arguments: Vec<_> = arguments.collect();
    let request = Request::new("/api/dashboards/uid/cIBgcSjkk", &request::token(0), Kind::Get, 0);
    for _ in 0..runs {
        let mut command = Command::new(&program);
        command.args(&arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let start = Instant::now();
        let mut child = command.spawn()?;
        let answered = answer(address, request.as_bytes(), start);
        child.kill()?;
        child.wait()?;
        println!("{}", answered?.as_micros());
    }
    Ok(())
}

/// Asks until a 200 comes.
fn answer(address: SocketAddr, request: &[u8], start: Instant) -> Result<Duration, Box<dyn Error>> {
    while start.elapsed() < PATIENCE {
        let Ok(mut stream) = TcpStream::connect(address) else {
            std::thread::sleep(PAUSE);
            continue;
        };
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(request)?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        let time = start.elapsed();
        if !status.ends_with(b" 200") {
            return Err(format!("first answer is {}", String::from_utf8_lossy(&status)).into());
        }
        return Ok(time);
    }
    Err("no answer within three seconds".into())
}
