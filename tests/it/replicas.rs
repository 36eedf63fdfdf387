//! One budget for all replicas, through a real redis-server: what is admitted, and what holds when it is gone.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{io, thread};

use crate::support::program::PATIENCE;
use crate::support::{Answer, Origin, Program, TOKEN, get, sound_token};

/// A server of its own for a test, in memory alone.
struct Redis {
    address: SocketAddr,
    child: Child,
    folder: tempfile::TempDir,
    options: Vec<String>,
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl Redis {
    /// `None`, and a word why, where it is not installed.
    fn start() -> Option<Self> {
        Self::with(&[])
    }

    fn with(options: &[String]) -> Option<Self> {
        let (address, options) = (free_address(), options.to_vec());
        let folder = tempfile::tempdir().unwrap();
        match spawn(address, &folder, &options) {
            Ok(child) => Some(Self { address, child, folder, options }.ready()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                println!("skipped: redis-server is not installed");
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn ready(self) -> Self {
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(self.address).is_err() {
            assert!(Instant::now() < end, "redis-server does not listen");
            thread::sleep(Duration::from_millis(5));
        }
        self
    }

    fn signal(&self, name: &str) {
        assert!(
            Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap().success()
        );
    }

    /// Ends it, with all that it knew.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn start_again(&mut self) {
        self.child = spawn(self.address, &self.folder, &self.options).unwrap();
        while TcpStream::connect(self.address).is_err() {
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn replica(&self, origin: &Origin, arguments: &[&str]) -> Program {
        replica(&format!("redis://{}", self.address), origin, arguments)
    }

    fn tell(&self, words: &[&str]) -> String {
        let port = self.address.port().to_string();
        let told = Command::new("redis-cli").args(["-p", &port]).args(words).output().unwrap();
        String::from_utf8(told.stdout).unwrap()
    }
}

fn replica(url: &str, origin: &Origin, arguments: &[&str]) -> Program {
    let mut command = Command::new(crate::support::binary());
    command.args(["run", "--upstream", &origin.url(), "--listen", "127.0.0.1:0", "--telemetry", "127.0.0.1:0"]);
    command.args(["--admin", "127.0.0.1:0", "--workers", "2", "--log-format", "json"]).args(arguments);
    command.args(["--limits-shared", url]);
    Program::start_with(command, &[("GTP_FINGERPRINT_KEY", "0123456789abcdef0123456789abcdef")])
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(address: SocketAddr, folder: &tempfile::TempDir, options: &[String]) -> io::Result<Child> {
    Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--port", &address.port().to_string(), "--save", "", "--appendonly", "no"])
        .args(["--dir", folder.path().to_str().unwrap()])
        .args(options)
        .stdout(Stdio::null())
        .spawn()
}

fn ask(program: &Program) -> Answer {
    get(program.data, "/api/org", &[&format!("Authorization: Bearer {TOKEN}")])
}

fn backend(program: &Program) -> &'static str {
    // One look: between two the state may change.
    let metrics = program.metrics();
    let is =
        |state: &&str| metrics.contains(&format!("grafana_token_proxy_ratelimit_backend{{state=\"{state}\"}} 1\n"));
    ["shared", "degraded", "local"].into_iter().find(is).unwrap()
}

fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn four_replicas_have_one_budget() {
    let Some(redis) = Redis::start() else { return };
    let origin = Origin::ok();
    for lease in ["0", "auto"] {
        // A busy machine may miss the deadline of a question: then nothing passes, rather than what the replica believes.
        let closed = ["--limits-shared-failure", "closed"];
        let arguments = ["--rate", "1/h", "--burst", "40", "--limits-shared-lease", lease, closed[0], closed[1]];
        let replicas: Vec<Program> = (0..4).map(|_| redis.replica(&origin, &arguments)).collect();
        let admitted: usize = thread::scope(|scope| {
            let clients: Vec<_> = replicas
                .iter()
                .map(|replica| scope.spawn(|| (0..40).filter(|_| answered(replica).status == 200).count()))
                .collect();
            clients.into_iter().map(|client| client.join().unwrap()).sum()
        });
        // Leases are at most an eighth of the burst; what one replica did not spend nobody has, and neither has anybody
        // what was granted too late.
        let least = if lease == "0" { 35 } else { 35 - 4 * 5 };
        assert!((least..=40).contains(&admitted), "{admitted} admitted with lease {lease}");
        let refused = answered(&replicas[0]);
        assert_eq!((refused.status, refused.reason()), (429, Some("token_rate_limited")));
        assert!(refused.header("retry-after").unwrap().parse::<u64>().unwrap() > 60);
        assert_eq!(backend(&replicas[0]), "shared");
        drop(replicas);
        assert_eq!(redis.tell(&["flushall"]).trim(), "OK");
    }
}

/// What the store says, once it was asked in time.
fn answered(program: &Program) -> Answer {
    loop {
        let answer = ask(program);
        if answer.status != 503 {
            return answer;
        }
    }
}

#[test]
fn a_store_that_is_gone_holds_nobody_up_and_gives_nobody_a_second_burst() {
    let Some(mut redis) = Redis::start() else { return };
    let origin = Origin::ok();
    let program = redis.replica(&origin, &["--rate", "1/h", "--burst", "20", "--limits-shared-lease", "0"]);
    for left in (10..20).rev() {
        let answer = ask(&program);
        assert!(answer.header("ratelimit").unwrap().starts_with(&format!("\"token\";r={left};")), "{answer:?}");
    }
    redis.kill();
    let began = Instant::now();
    assert_eq!(ask(&program).status, 200);
    // A request waits for the store no longer than its deadline; the rest is the machine's.
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
    wait_until("it is not told", || backend(&program) == "degraded");
    let line = program.wait_for_line(|line| line["event"] == "limits_backend" && line["state"] == "degraded");
    assert_eq!(line["level"], "warn");
    // The replica goes on where it was.
    let status: Vec<u16> = (0..12).map(|_| ask(&program).status).collect();
    assert_eq!(status.iter().filter(|status| **status == 200).count(), 9, "{status:?}");
    redis.start_again();
    wait_until("it is not back", || backend(&program) == "shared");
    assert_eq!([(); 5].map(|()| ask(&program).status), [429; 5], "the store came back empty, and gave a second burst");
}

#[test]
fn what_holds_while_the_store_hangs_is_as_configured() {
    let Some(redis) = Redis::start() else { return };
    let origin = Origin::ok();
    let limits = ["--rate", "1/h", "--burst", "4", "--limits-shared-lease", "0", "--limits-shared-failure"];
    let open = redis.replica(&origin, &[&limits[..], &["open"]].concat());
    let closed = redis.replica(&origin, &[&limits[..], &["closed"]].concat());
    assert_eq!((ask(&open).status, ask(&closed).status), (200, 200));
    redis.signal("STOP");
    // Three that wait for nothing, and then nobody waits.
    assert_eq!([(); 6].map(|()| ask(&open).status), [200; 6]);
    let refused: Vec<Answer> = (0..6).map(|_| ask(&closed)).collect();
    for answer in &refused {
        assert_eq!((answer.status, answer.reason()), (503, Some("limits_unavailable")));
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    wait_until("it is not told", || backend(&open) == "degraded" && backend(&closed) == "degraded");
    assert_eq!(get(closed.data, "/api/health", &[]).status, 200, "exempt paths are not asked for");
    redis.signal("CONT");
    wait_until("it is not back", || backend(&open) == "shared" && backend(&closed) == "shared");
    // What passed while nobody counted is not charged. The questions that hung were answered when nobody waited any more:
    // they may have spent the rest.
    let after = [(); 3].map(|()| ask(&closed).status);
    assert!(after[2] == 429 && after.iter().all(|status| matches!(status, 200 | 429)), "{after:?}");
}

#[test]
fn four_replicas_have_one_budget_in_a_cluster() {
    let buses: Vec<String> = (0..3).map(|_| free_address().port().to_string()).collect();
    let options = |bus: &String| ["--cluster-enabled", "yes", "--cluster-port", bus].map(str::to_owned);
    let nodes: Vec<Redis> = buses.iter().filter_map(|bus| Redis::with(&options(bus))).collect();
    let [first, second, third] = &nodes[..] else { return };
    for (node, slots) in [(first, ["0", "5460"]), (second, ["5461", "10922"]), (third, ["10923", "16383"])] {
        assert_eq!(node.tell(&["cluster", "addslotsrange", slots[0], slots[1]]).trim(), "OK");
        for (other, bus) in nodes.iter().zip(&buses) {
            node.tell(&["cluster", "meet", "127.0.0.1", &other.address.port().to_string(), bus]);
        }
    }
    let agree = || nodes.iter().all(|node| node.tell(&["cluster", "info"]).contains("cluster_state:ok"));
    wait_until("the nodes find no cluster", agree);
    let origin = Origin::ok();
    let url = format!("redis+cluster://{},{}", first.address, third.address);
    let arguments =
        ["--rate", "1/h", "--burst", "5", "--limits-shared-lease", "0", "--limits-shared-failure", "closed"];
    let replicas: Vec<Program> = (0..4).map(|_| replica(&url, &origin, &arguments)).collect();
    // Tokens whose buckets lie on different nodes.
    for token in 0..12 {
        let credential = format!("Authorization: Bearer {}", sound_token(token));
        let ask = |replica: &Program| loop {
            let status = get(replica.data, "/api/org", &[&credential]).status;
            if status != 503 {
                return status;
            }
        };
        let statuses: Vec<u16> = (0..12).map(|turn| ask(&replicas[turn % 4])).collect();
        let admitted = statuses.iter().filter(|status| **status == 200).count();
        assert!((4..=5).contains(&admitted) && statuses[8..] == [429; 4], "{token}: {statuses:?}");
    }
    let held = nodes.iter().filter(|node| node.tell(&["dbsize"]).trim() != "0").count();
    assert!(held >= 2, "all buckets lie on one node: nothing is tested");
}
