//! Times in the words of a sentence.

use std::time::{Duration, SystemTime};

use time::OffsetDateTime;

/// `14:02 UTC (3 min ago)`, with the day where that is another.
pub(super) fn moment(then: SystemTime, now: SystemTime) -> String {
    format!("{} ({} ago)", clock(then, now), span(now.duration_since(then).unwrap_or_default()))
}

/// `14:02 UTC`, with the day where that is another than today's.
pub(super) fn clock(then: SystemTime, now: SystemTime) -> String {
    let (then, today) = (OffsetDateTime::from(then), OffsetDateTime::from(now).date());
    let day = if then.date() == today { String::new() } else { format!("{} {} ", then.day(), then.month()) };
    format!("{day}{:02}:{:02} UTC", then.hour(), then.minute())
}

/// `20 s`, `3 min`, `5 h`, `4 days`: the largest unit that there are two of.
pub(super) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn times_read_as_people_say_them() {
        let now = UNIX_EPOCH + Duration::from_secs(1_714_979_289);
        let ago = |seconds| moment(now - Duration::from_secs(seconds), now);
        assert_eq!(ago(0), "07:08 UTC (0 s ago)");
        assert_eq!(ago(200), "07:04 UTC (3 min ago)");
        assert_eq!(ago(26 * 3_600), "5 May 05:08 UTC (26 h ago)");
        assert_eq!(ago(40 * 86_400), "27 March 07:08 UTC (40 days ago)");
        // A clock that was set back.
        assert_eq!(moment(now + Duration::from_secs(60), now), "07:09 UTC (0 s ago)");
    }
}
