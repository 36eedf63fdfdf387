//! The connection to the store: one, on which all questions travel at once, or one for each node of a cluster.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::io::tcp::TcpSettings;
use redis::io::tcp::socket2::TcpKeepalive;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo as _,
    RedisConnectionInfo, RedisError, Script, ServerErrorKind, TlsCertificates,
};

use super::address::{Address, Place, Server};
use super::holding::Grant;

/// How long an answer is waited for that comes too late for whoever asked: what it grants is kept as a lease.
pub(super) const LATE: Duration = Duration::from_secs(1);

/// How long a connection may take, with TLS, password and, of a cluster, the list of its nodes.
const CONNECTING: Duration = Duration::from_secs(1);

/// Why a question has no answer.
#[derive(Debug)]
pub(super) enum Fault {
    /// The connection is gone.
    Lost(String),
    /// The store said no.
    Failed(String),
}

impl Fault {
    pub(super) fn cause(self) -> String {
        match self {
            Self::Lost(cause) | Self::Failed(cause) => cause,
        }
    }
}

/// A question as the script reads it.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) key: String,
    pub(super) period: u64,
    pub(super) burst: u32,
    pub(super) least: u32,
    pub(super) most: u32,
    pub(super) debt: u64,
}

impl Question {
    /// Takes from a bucket of nobody, for a nanosecond: whether the script runs, and may write. A server that has become
    /// a replica runs it until then.
    pub(super) fn probe() -> Self {
        Self { key: "gtp:probe".into(), period: 1, burst: 1, least: 0, most: 1, debt: 0 }
    }

    fn command(&self, name: &str, script: &str) -> Cmd {
        let mut command = redis::cmd(name);
        command.arg(script).arg(1).arg(&self.key);
        command.arg(self.period).arg(self.burst).arg(self.least).arg(self.most).arg(self.debt);
        command
    }
}

#[derive(Clone)]
enum Way {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// A connection that answers.
#[derive(Clone)]
pub(super) struct Link {
    way: Way,
    address: Arc<Address>,
    script: Arc<Script>,
}

impl Link {
    /// Connects, and says who we are.
    pub(super) async fn open(address: &Arc<Address>, authorities: Option<&[u8]>) -> Result<Self, Fault> {
        let fault = |error: RedisError| Fault::Lost(address.without_password(error.to_string()));
        let certificates = TlsCertificates { client_tls: None, root_cert: authorities.map(<[u8]>::to_vec) };
        let way = match &address.place {
            Place::Cluster(servers) => {
                let nodes = servers.iter().map(|server| info(address, tcp(address, server)));
                let nodes: Vec<ConnectionInfo> = nodes.collect::<Result<_, _>>().map_err(fault)?;
                let mut builder = ClusterClientBuilder::new(nodes)
                    .tcp_settings(socket_settings())
                    .connection_timeout(CONNECTING)
                    .response_timeout(2 * LATE)
                    // A redirection is a retry. Who still has no answer then is past the deadline.
                    .retries(2)
                    .min_retry_wait(1)
                    .max_retry_wait(5);
                if address.tls {
                    builder = builder.certs(certificates);
                }
                let client = builder.build().map_err(fault)?;
                Way::Cluster(client.get_async_connection().await.map_err(fault)?)
            }
            Place::Single(_) | Place::Unix(_) => {
                let place = match &address.place {
                    Place::Unix(path) => ConnectionAddr::Unix(path.clone()),
                    Place::Single(server) => tcp(address, server),
                    Place::Cluster(_) => return Err(Fault::Lost("a cluster is no single server".into())),
                };
                let info = info(address, place).map_err(fault)?;
                let client = match address.tls && authorities.is_some() {
                    true => Client::build_with_tls(info, certificates),
                    false => Client::open(info),
                };
                let config = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(CONNECTING))
                    .set_response_timeout(Some(2 * LATE));
                let client = client.map_err(fault)?;
                Way::Single(client.get_multiplexed_async_connection_with_config(&config).await.map_err(fault)?)
            }
        };
        Ok(Self { way, address: Arc::clone(address), script: Arc::new(Script::new(include_str!("claim.lua"))) })
    }

    /// Asks. One round trip, but for a store that does not know the script yet.
    pub(super) async fn ask(&mut self, question: &Question) -> Result<Grant, Fault> {
        let known = question.command("EVALSHA", self.script.get_hash());
        let answer = match self.send(&known).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                self.send(&question.command("EVAL", include_str!("claim.lua"))).await
            }
            answer => answer,
        };
        match answer {
            Ok((granted, debt, retry_after)) => {
                let time = |nanos: i64| u64::try_from(nanos).unwrap_or_default();
                Ok(Grant {
                    granted: u32::try_from(granted).unwrap_or_default().min(question.most),
                    debt: time(debt),
                    retry_after: time(retry_after),
                })
            }
            Err(error) => {
                let cause = self.address.without_password(error.to_string());
                // A cluster mends its connections itself, and has others.
                let lost = error.is_unrecoverable_error() && matches!(self.way, Way::Single(_));
                Err(if lost { Fault::Lost(cause) } else { Fault::Failed(cause) })
            }
        }
    }

    async fn send(&mut self, command: &Cmd) -> Result<(i64, i64, i64), RedisError> {
        match &mut self.way {
            Way::Single(connection) => command.query_async(connection).await,
            Way::Cluster(connection) => command.query_async(connection).await,
        }
    }
}

fn tcp(address: &Address, server: &Server) -> ConnectionAddr {
    let Server { host, port } = server.clone();
    match address.tls {
        true => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
        false => ConnectionAddr::Tcp(host, port),
    }
}

fn info(address: &Address, place: ConnectionAddr) -> Result<ConnectionInfo, RedisError> {
    let mut account = RedisConnectionInfo::default().set_db(address.database.into());
    if let Some(user) = &address.user {
        account = account.set_username(user);
    }
    if let Some(password) = &address.password {
        account = account.set_password(password.as_str());
    }
    Ok(place.into_connection_info()?.set_redis_settings(account).set_tcp_settings(socket_settings()))
}

fn socket_settings() -> TcpSettings {
    // Small questions whose answers are awaited: Nagle's algorithm would hold them back. A quiet connection that
    // something on the way forgets would be noticed by the next request's deadline only.
    let keepalive = TcpKeepalive::new().with_time(Duration::from_secs(30)).with_interval(Duration::from_secs(10));
    TcpSettings::default().set_nodelay(true).set_keepalive(keepalive)
}
