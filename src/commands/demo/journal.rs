//! Where the log of the demo goes: into memory while the tour runs, which shows from it what a log would hold; then to
//! standard error, for whoever tries things out.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;

use super::narrate::Narrator;

/// A line that takes longer does not come: refusals of one kind are held back for a second.
const PATIENCE: Duration = Duration::from_secs(5);

/// The log's output.
#[derive(Clone, Debug)]
pub(super) struct Journal {
    lines: watch::Sender<Vec<Value>>,
    narrator: Arc<Mutex<Option<Narrator>>>,
}

impl Journal {
    /// An empty one.
    pub(super) fn new() -> Self {
        Self { lines: watch::Sender::new(Vec::new()), narrator: Arc::default() }
    }

    /// The line that tells of the refusal of this request.
    pub(super) async fn refusal(&self, request_id: &str) -> Option<Value> {
        let find = |lines: &Vec<Value>| lines.iter().find(|line| is_refusal(line, request_id)).cloned();
        let mut reader = self.lines.subscribe();
        let found = tokio::time::timeout(PATIENCE, reader.wait_for(|lines| find(lines).is_some())).await;
        found.ok()?.ok().and_then(|lines| find(&lines))
    }

    /// From now on, lines are told as they come.
    pub(super) fn narrate(&self, narrator: Narrator) {
        self.lines.send_modify(Vec::clear);
        *self.narrator.lock().unwrap_or_else(PoisonError::into_inner) = Some(narrator);
    }
}

fn is_refusal(line: &Value, request_id: &str) -> bool {
    let is = |key: &str, value: &str| line.get(key).and_then(Value::as_str) == Some(value);
    is("event", "request_refused") && is("request_id", request_id)
}

/// The log writes whole lines, one or more at a time.
impl Write for Journal {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for line in bytes.split(|byte| *byte == b'\n') {
            let Ok(line) = serde_json::from_slice::<Value>(line) else { continue };
            match self.narrator.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
                Some(narrator) => narrator.tell(&line)?,
                None => self.lines.send_modify(|lines| lines.push(line)),
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_line_is_found_whether_it_comes_before_or_after_the_question() {
        let mut journal = Journal::new();
        let served = b"{\"event\":\"request_served\",\"request_id\":\"a\"}\n";
        let refused = b"{\"event\":\"request_refused\",\"request_id\":\"a\",\"detail\":\"d\"}\n";
        let other = b"{\"event\":\"request_refused\",\"request_id\":\"b\",\"detail\":\"e\"}\n";
        journal.write_all(&[&served[..], other].concat()).unwrap();
        assert_eq!(journal.refusal("b").await.unwrap()["detail"], "e");
        let asked = journal.clone();
        let question = tokio::spawn(async move { asked.refusal("a").await });
        tokio::task::yield_now().await;
        journal.write_all(refused).unwrap();
        assert_eq!(question.await.unwrap().unwrap()["detail"], "d");
        assert_eq!(journal.refusal("a").await.unwrap()["event"], "request_refused");
    }
}
