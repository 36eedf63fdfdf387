//! A hop as people misconfigure them: it may change a head, answer by itself, or cut what is silent.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// What a hop does with the head of a request: change its lines; `Some`: answer with these bytes itself.
pub type Edit = Arc<dyn Fn(&mut Vec<String>) -> Option<Vec<u8>> + Send + Sync>;

/// What a hop does with the head of an answer.
pub type Retouch = Arc<dyn Fn(&mut Vec<String>) + Send + Sync>;

/// How a hop behaves.
#[derive(Clone)]
pub struct Manners {
    pub edit: Edit,
    pub retouch: Retouch,
    /// After so long a silence it closes.
    pub patience: Duration,
}

impl Manners {
    /// Passes everything, and says that it was there, as most hops do.
    pub fn good() -> Self {
        Self { edit: Arc::new(|_| None), retouch: Arc::new(|_| ()), patience: Duration::from_secs(20) }
    }

    pub fn editing(edit: impl Fn(&mut Vec<String>) -> Option<Vec<u8>> + Send + Sync + 'static) -> Self {
        Self { edit: Arc::new(edit), ..Self::good() }
    }

    /// Changes the value of `Authorization`, or takes the line away.
    pub fn authorization(change: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self::editing(move |lines| {
            let at = lines.iter().position(|line| line.to_ascii_lowercase().starts_with("authorization:"))?;
            let line = lines.remove(at);
            let value = line.split_once(':').unwrap().1.trim().to_owned();
            lines.extend(change(&value).map(|value| format!("Authorization: {value}")));
            None
        })
    }

    /// Answers itself wherever `wanted` finds something in the head.
    pub fn refusing(wanted: impl Fn(&[String]) -> bool + Send + Sync + 'static, answer: &'static str) -> Self {
        Self::editing(move |lines| wanted(lines).then(|| answer.as_bytes().to_vec()))
    }
}

/// Listens, and passes on to `target` what its manners let pass. It lives until the test's process ends.
pub fn hop(target: SocketAddr, manners: Manners) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let manners = manners.clone();
            // A client that is gone ends its own thread only.
            thread::spawn(move || serve(client, target, &manners));
        }
    });
    address
}

fn serve(mut client: TcpStream, target: SocketAddr, manners: &Manners) -> Option<()> {
    client.set_nodelay(true).ok()?;
    let (mut head, rest) = read_head(&mut client)?;
    let length = header(&head, "content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
    if let Some(answer) = (manners.edit)(&mut head) {
        client.write_all(&answer).ok()?;
        client.shutdown(std::net::Shutdown::Write).ok()?;
        // What is left unread would reset the connection, and the answer with it.
        std::io::copy(&mut client, &mut std::io::sink()).ok()?;
        return Some(());
    }
    let mut server = TcpStream::connect(target).ok()?;
    server.set_nodelay(true).ok()?;
    write_head(&mut server, &head)?;
    server.write_all(&rest).ok()?;
    let left = u64::saturating_sub(length, rest.len() as u64);
    std::io::copy(&mut Read::by_ref(&mut client).take(left), &mut server).ok()?;
    let (mut head, rest) = read_head(&mut server)?;
    (manners.retouch)(&mut head);
    let upgraded = head[0].contains(" 101 ");
    if !upgraded {
        head.retain(|line| !line.to_ascii_lowercase().starts_with("connection:"));
        head.push("Connection: close".to_owned());
    }
    write_head(&mut client, &head)?;
    client.write_all(&rest).ok()?;
    if upgraded {
        let (mut reader, mut writer) = (client.try_clone().ok()?, server.try_clone().ok()?);
        thread::spawn(move || std::io::copy(&mut reader, &mut writer));
        pass_on(&mut server, &mut client, manners.patience);
        let _ = server.shutdown(std::net::Shutdown::Both);
        let _ = client.shutdown(std::net::Shutdown::Both);
        return Some(());
    }
    let length: u64 = header(&head, "content-length").and_then(|value| value.parse().ok()).unwrap_or(u64::MAX);
    let left = length.saturating_sub(rest.len() as u64);
    std::io::copy(&mut server.take(left), &mut client).ok()?;
    Some(())
}

/// Until one side closes, or neither says anything for too long.
fn pass_on(server: &mut TcpStream, client: &mut TcpStream, patience: Duration) {
    server.set_read_timeout(Some(patience)).unwrap();
    let mut piece = [0; 4096];
    loop {
        match server.read(&mut piece) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Ok(count) if count > 0 && client.write_all(&piece[..count]).is_ok() => {}
            _ => return,
        }
    }
}

/// A header's value.
pub fn header(lines: &[String], name: &str) -> Option<String> {
    let wanted = |line: &&String| line.split(':').next().is_some_and(|other| other.eq_ignore_ascii_case(name));
    lines.iter().skip(1).find(wanted).map(|line| line.split_once(':').unwrap().1.trim().to_owned())
}

fn read_head(stream: &mut TcpStream) -> Option<(Vec<String>, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut piece = [0; 65536];
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).split("\r\n").map(str::to_owned).collect();
            return Some((head, bytes[end + 4..].to_vec()));
        }
        let count = stream.read(&mut piece).ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&piece[..count]);
    }
}

fn write_head(stream: &mut TcpStream, lines: &[String]) -> Option<()> {
    stream.write_all(format!("{}\r\n\r\n", lines.join("\r\n")).as_bytes()).ok()
}
