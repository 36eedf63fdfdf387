//! Where the shared store is: the URL of `limits.shared`. It may hold a password, so no error and no log shows it.

use std::fmt;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

/// The port of Redis and Valkey where the URL names none.
const PORT: u16 = 6379;

/// One server of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// A name or an address, without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// How the store is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// One server.
    Single(Server),
    /// A cluster, of which these are asked for the rest.
    Cluster(Vec<Server>),
    /// One server behind a socket of this machine.
    Unix(PathBuf),
}

/// A URL that was understood. Its `Debug` and `Display` leave user and password out.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// How the store is reached.
    pub place: Place,
    /// Whether the way there is encrypted.
    pub tls: bool,
    /// The user of the store's access list.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<Zeroizing<String>>,
    /// The number of the database.
    pub database: u32,
}

/// What is wrong with a URL. Never shows a piece of it that may be secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Another scheme, or none.
    #[error("must begin with redis://, rediss:// (TLS), redis+cluster://, rediss+cluster:// or redis+unix://")]
    Scheme,
    /// Nothing where the host should stand.
    #[error("names no host")]
    NoHost,
    /// Several hosts, which only a cluster has.
    #[error("names several hosts: write redis+cluster:// (or rediss+cluster://) for a cluster")]
    SeveralHosts,
    /// A port that is none.
    #[error("has a port that is no number from 1 to 65535")]
    Port,
    /// A path that is no database.
    #[error("ends in a database that is no number: write …/0")]
    Database,
    /// A cluster with a database.
    #[error("names a database, but a cluster has only number 0")]
    ClusterDatabase,
    /// A socket that is not named in full.
    #[error("names no socket: write redis+unix:///path/to/socket")]
    NoSocket,
    /// A parameter that we do not know.
    #[error("has a part behind ? or # that is not known here (redis+unix:// knows ?db=N)")]
    Parameter,
    /// Bytes that are no text.
    #[error("has a user or a password that is no text after percent-decoding; write @ : / in them as %40 %3A %2F")]
    Credentials,
}

impl Address {
    /// Reads a URL: `redis://user:password@host:port/database`. A cluster may name several hosts, by commas.
    ///
    /// ```
    /// use grafana_token_proxy::limits::shared::Address;
    /// let address = Address::parse("rediss://proxy:secret@redis.example.com/2").unwrap();
    /// assert_eq!(address.to_string(), "rediss://redis.example.com:6379/2");
    /// ```
    pub fn parse(url: &str) -> Result<Self, AddressError> {
        let (scheme, rest) = url.trim().split_once("://").ok_or(AddressError::Scheme)?;
        let (cluster, unix, tls) = match scheme.to_ascii_lowercase().as_str() {
            "redis" | "valkey" => (false, false, false),
            "rediss" | "valkeys" => (false, false, true),
            "redis+cluster" | "valkey+cluster" => (true, false, false),
            "rediss+cluster" | "valkeys+cluster" => (true, false, true),
            "redis+unix" | "valkey+unix" => (false, true, false),
            _ => return Err(AddressError::Scheme),
        };
        let (rest, parameter) = match rest.split_once(['?', '#']) {
            Some((rest, parameter)) => (rest, Some(parameter)),
            None => (rest, None),
        };
        // A password may hold a raw slash: the last @ parts it from the host.
        let (credentials, rest) = match rest.rsplit_once('@') {
            Some((credentials, rest)) => (Some(credentials), rest),
            None => (None, rest),
        };
        let (user, password) = credentials.map_or(Ok((None, None)), read_credentials)?;
        let (hosts, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let (place, database) = if unix {
            if !hosts.is_empty() || path.len() < 2 {
                return Err(AddressError::NoSocket);
            }
            (Place::Unix(PathBuf::from(path)), parameter.map(|text| text.strip_prefix("db=").unwrap_or("?")))
        } else {
            if parameter.is_some() {
                return Err(AddressError::Parameter);
            }
            let servers: Vec<Server> = hosts.split(',').map(read_server).collect::<Result<_, _>>()?;
            let place = match (cluster, servers.as_slice()) {
                (true, _) => Place::Cluster(servers),
                (false, [server]) => Place::Single(server.clone()),
                (false, _) => return Err(AddressError::SeveralHosts),
            };
            (place, Some(path.trim_start_matches('/')).filter(|path| !path.is_empty()))
        };
        let database = match database {
            Some("?") => return Err(AddressError::Parameter),
            Some(text) => text.parse().map_err(|_| AddressError::Database)?,
            None => 0,
        };
        if cluster && database != 0 {
            return Err(AddressError::ClusterDatabase);
        }
        Ok(Self { place, tls, user, password, database })
    }

    /// A text of others (an error of the store or of the network) without our password, should it stand there.
    pub(super) fn without_password(&self, text: String) -> String {
        match &self.password {
            Some(password) if password.len() > 3 => text.replace(password.as_str(), "…"),
            _ => text,
        }
    }
}

fn read_credentials(text: &str) -> Result<(Option<String>, Option<Zeroizing<String>>), AddressError> {
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    let decode = |text: &str| match percent_decode_str(text).decode_utf8() {
        Ok(text) if text.is_empty() => Ok(None),
        Ok(text) => Ok(Some(text.into_owned())),
        Err(_) => Err(AddressError::Credentials),
    };
    Ok((decode(user)?, decode(password)?.map(Zeroizing::new)))
}

fn read_server(text: &str) -> Result<Server, AddressError> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        // IPv6: the colons inside of the brackets are no port.
        let (host, port) = rest.split_once(']').ok_or(AddressError::NoHost)?;
        (host, port.strip_prefix(':').or(if port.is_empty() { None } else { Some("") }))
    } else {
        text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)))
    };
    let sane = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:%".contains(&byte);
    if host.is_empty() || !host.bytes().all(sane) {
        return Err(AddressError::NoHost);
    }
    let port = match port {
        Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or(AddressError::Port)?,
        None => PORT,
    };
    Ok(Server { host: host.to_owned(), port })
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "rediss" } else { "redis" };
        match &self.place {
            Place::Single(server) => write!(f, "{scheme}://{server}/{}", self.database),
            Place::Cluster(servers) => {
                let servers: Vec<String> = servers.iter().map(Server::to_string).collect();
                write!(f, "{scheme}+cluster://{}", servers.join(","))
            }
            Place::Unix(path) => write!(f, "{scheme}+unix://{}?db={}", path.display(), self.database),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(url: &str) -> Address {
        Address::parse(url).unwrap()
    }

    #[test]
    fn urls_of_every_kind_are_read() {
        for (url, shown) in [
            ("redis://localhost", "redis://localhost:6379/0"),
            ("redis://:pw@10.0.0.7:6380/3", "redis://10.0.0.7:6380/3"),
            ("REDISS://u:p%40ss@cache.example.com", "rediss://cache.example.com:6379/0"),
            ("valkey://[::1]:7000/", "redis://[::1]:7000/0"),
            ("redis+cluster://a:1,b,[fe80::1]:3", "redis+cluster://a:1,b:6379,[fe80::1]:3"),
            ("rediss+cluster://u:p@a:1,b:2/0", "rediss+cluster://a:1,b:2"),
            ("redis+unix:///run/redis.sock?db=2", "redis+unix:///run/redis.sock?db=2"),
            ("redis+unix://u:p@/run/redis.sock", "redis+unix:///run/redis.sock?db=0"),
        ] {
            assert_eq!(parsed(url).to_string(), shown, "{url}");
        }
        let full = parsed("redis://pro%78y:p%40s%3As/@host/1");
        assert_eq!((full.user.as_deref(), full.password.as_ref().unwrap().as_str()), (Some("proxy"), "p@s:s/"));
        assert_eq!(parsed("redis://:only@host").user, None);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (url, error) in [
            ("localhost:6379", AddressError::Scheme),
            ("http://localhost", AddressError::Scheme),
            ("redis://", AddressError::NoHost),
            ("redis://u:p@:6379", AddressError::NoHost),
            ("redis://[::1", AddressError::NoHost),
            ("redis://[::1]7", AddressError::Port),
            ("redis://a,b", AddressError::SeveralHosts),
            ("redis://a:0", AddressError::Port),
            ("redis://a:70000", AddressError::Port),
            ("redis://a/x", AddressError::Database),
            ("redis+cluster://a/1", AddressError::ClusterDatabase),
            ("redis+unix://a/b", AddressError::NoSocket),
            ("redis+unix:///a?x=1", AddressError::Parameter),
            ("redis://a?x=1", AddressError::Parameter),
            ("redis://:%ff@a", AddressError::Credentials),
        ] {
            assert_eq!(Address::parse(url), Err(error), "{url}");
        }
    }

    #[test]
    fn a_password_is_taken_out_of_texts_of_others() {
        let address = parsed("redis://:hunter22@host");
        assert_eq!(address.without_password("no hunter22 here".into()), "no … here");
        assert!(!format!("{address:?} {address}").contains("hunter22"));
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_the_same_and_nothing_panics(url in ".{0,40}", tail in "[a-z0-9:/,@?=%\\[\\].]{0,30}") {
            let _ = Address::parse(&url);
            for scheme in ["redis://", "rediss+cluster://", "redis+unix:///"] {
                if let Ok(address) = Address::parse(&format!("{scheme}{tail}")) {
                    let bare = Address { user: None, password: None, ..address };
                    prop_assert_eq!(Address::parse(&bare.to_string()), Ok(bare));
                }
            }
        }

        #[test]
        fn a_password_is_never_shown(password in "[A-Z]{8,12}", host in "[a-z]{1,8}", end in "[a-z0-9:/?=%]{0,12}") {
            let url = format!("redis://user:{password}@{host}{end}");
            let shown = match Address::parse(&url) {
                Ok(address) => format!("{address:?} {address}"),
                Err(error) => format!("{error:?} {error}"),
            };
            prop_assert!(!shown.contains(&password), "{}", shown);
        }
    }
}
