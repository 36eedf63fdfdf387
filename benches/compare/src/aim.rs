//! What one target of the load is, and what is asked of it.

use std::{
    error::Error,
    net::{Ipv4Addr, SocketAddr},
};

use crate::request::{self, Kind, Request};

/// One target, with a load of its own where several grow in one run.
#[derive(Clone, Debug)]
pub struct Aim {
    /// What its slices are called.
    pub name: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// Whose processor time is read.
    pub process: Option<u32>,
    /// Tokens sent in turn.
    pub tokens: u64,
    /// Of these, so many are distinct.
    pub distinct: u64,
    /// The one before the first that is sent.
    pub last: u64,
    /// Connections of the closed loop.
    pub connections: usize,
    /// The path asked for.
    pub path: String,
    /// The status that each answer must have.
    pub status: u16,
    /// Plain header lines that each request has more than a Python client sends.
    pub headers: usize,
    /// What its requests are for.
    pub kind: Kind,
}

impl Aim {
    /// Reads `NAME,PORT[,PID[,TOKENS[,DISTINCT]]][,KEY=VALUE]…`; what it does not say, `all` says.
    ///
    /// # Errors
    /// When a part is not what its place wants.
    pub fn read(text: &str, all: &Self) -> Result<Self, Box<dyn Error>> {
        let mut aim = all.clone();
        let (own, places): (Vec<_>, Vec<_>) = text.split(',').partition(|part| part.contains('='));
        let mut places = places.into_iter();
        aim.name = places.next().unwrap_or_default().to_owned();
        aim.address = SocketAddr::from((Ipv4Addr::LOCALHOST, places.next().ok_or("a target without port")?.parse()?));
        aim.process = places.next().map(str::parse).transpose()?;
        aim.tokens = places.next().map_or(Ok(1), str::parse)?.max(1);
        aim.distinct = places.next().map_or(Ok(aim.tokens), str::parse)?.max(1);
        for part in own {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            aim.set(key, value)?;
        }
        Ok(aim)
    }

    /// Sets `connections`, `path`, `status`, `headers` or `last`.
    ///
    /// # Errors
    /// When there is no such key, or the value does not fit it.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), Box<dyn Error>> {
        match key {
            "connections" => self.connections = value.parse()?,
            "path" => value.clone_into(&mut self.path),
            "status" => self.status = value.parse()?,
            "headers" => self.headers = value.parse()?,
            "last" => self.last = value.parse()?,
            _ => return Err(format!("a target has no `{key}`").into()),
        }
        if self.connections == 0 { Err("a target without connections".into()) } else { Ok(()) }
    }

    /// Its first request.
    #[must_use]
    pub fn request(&self) -> Request {
        Request::new(&self.path, &request::token(0), self.kind, self.headers)
    }
}

impl Default for Aim {
    fn default() -> Self {
        Self {
            name: String::new(),
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            process: None,
            tokens: 1,
            distinct: 1,
            last: 0,
            connections: 64,
            path: "/api/dashboards/uid/cIBgcSjkk".to_owned(),
            status: 200,
            headers: 0,
            kind: Kind::Get,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_target_does_not_say_holds_for_all() {
        let all = Aim { connections: 7, status: 401, ..Aim::default() };
        let aim = Aim::read("ours,8080,12,1000,10,headers=5,connections=4,last=9", &all).unwrap();
        assert_eq!((aim.name.as_str(), aim.address.port(), aim.process), ("ours", 8080, Some(12)));
        assert_eq!((aim.tokens, aim.distinct, aim.headers, aim.connections, aim.status), (1000, 10, 5, 4, 401));
        assert_eq!(aim.last, 9);
        let aim = Aim::read("ours,8080,path=/size/1", &all).unwrap();
        assert_eq!((aim.tokens, aim.distinct, aim.connections, aim.path.as_str()), (1, 1, 7, "/size/1"));
    }

    #[test]
    fn what_makes_no_sense_is_an_error() {
        for text in ["ours", "ours,x", "ours,1,2,x", "ours,1,colour=red", "ours,1,connections=0"] {
            assert!(Aim::read(text, &Aim::default()).is_err(), "{text}");
        }
    }
}
