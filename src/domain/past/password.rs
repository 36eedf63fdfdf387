//! A wrong password, a locked and a disabled user get the same answer. What was tried before tells which is likely.

use std::time::Duration;

use super::super::reason::Reason;
use super::words::{clock, moment};
use super::{Advice, Past, UserPast};

/// From so many failures on, Grafana refuses every password of the user (`brute_force_login_protection`) …
pub(super) const FAILURES: u8 = 5;

/// … for so long after them.
pub(super) const LOCKED: Duration = Duration::from_secs(5 * 60);

pub(super) fn advise(past: &Past, user: &UserPast, reason: Reason, advice: &mut Advice) {
    if !matches!(reason, Reason::PasswordWrong | Reason::LoginBlocked) {
        return;
    }
    let accepted = user.accepted.map(|last| (moment(last, past.now), clock(last, past.now)));
    if user.refusals >= FAILURES {
        advice.say(format!(
            "{FAILURES} or more passwords of this user were refused in the five minutes before: the user is likely locked, \
             as Grafana then refuses the right password, too."
        ));
        advice.point(format!(
            "as the user is likely locked, stop what sends wrong passwords and try once after {}",
            clock(past.now + LOCKED, past.now)
        ));
    }
    let Some((accepted, accepted_clock)) = accepted else { return };
    if !user.same_password {
        advice.say(format!(
            "This user was accepted with another password at {accepted}: the one at hand is likely mistyped or out of date."
        ));
    } else if user.refusals >= FAILURES {
        advice.say(format!("This very password was accepted at {accepted}, so it is likely right."));
    } else {
        advice.say(format!(
            "This very password was accepted until {accepted}: it is likely no slip, but the password was changed or the \
             user disabled since."
        ));
        advice.point(format!("look first at what was changed about this user after {accepted_clock}"));
    }
}
