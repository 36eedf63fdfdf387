//! Tokens and configuration.

use std::fmt::Write as _;

use super::html::Text;
use crate::admin::rows::{ConfigRow, PolicyRow, TokenRow};
use crate::admin::state::InForce;
use crate::telemetry::timestamp;

/// The tokens that were seen last.
pub(super) fn tokens(out: &mut String, rows: &[TokenRow]) {
    if rows.is_empty() {
        out.push_str("<p class=\"empty\">No token has come yet.</p>");
        return;
    }
    out.push_str(
        "<div class=\"scroll\"><table><thead><tr><th scope=\"col\">Token</th><th scope=\"col\">Kind</th>\
         <th scope=\"col\">Last outcome</th><th scope=\"col\">Served</th><th scope=\"col\">Refused</th>\
         <th scope=\"col\">Limit used</th></tr></thead><tbody>",
    );
    for row in rows {
        let name = row.name.as_deref().unwrap_or(&row.fingerprint);
        let _ = write!(
            out,
            "<tr><th scope=\"row\"><a href=\"/?token={0}\">{0}</a></th><td>{1}</td><td>",
            Text(name),
            row.kind.unwrap_or("unknown").replace('_', " ")
        );
        outcome(out, row);
        let (burst, used) = (row.limit.burst, row.limit.burst.saturating_sub(row.limit.remaining));
        // Red is for what is refused now or soon.
        let (low, high) = (burst / 2, burst.saturating_sub(burst / 10));
        let _ = write!(
            out,
            "</td><td class=\"number\">{}</td><td class=\"number\">{}</td><td><meter min=\"0\" max=\"{burst}\" low=\"{low}\" \
             high=\"{high}\" optimum=\"0\" value=\"{used}\"></meter> {used} of {burst}</td></tr>",
            row.served, row.refused
        );
    }
    out.push_str("</tbody></table></div>");
}

/// What each limit has said since the start.
pub(super) fn limits(out: &mut String, rows: &[PolicyRow], tracked: usize) {
    out.push_str(
        "<div class=\"scroll\"><table><thead><tr><th scope=\"col\">Limit</th><th scope=\"col\">Mode</th>\
         <th scope=\"col\">At once</th><th scope=\"col\">Passed</th><th scope=\"col\">Nearly used up</th>\
         <th scope=\"col\">Refused</th><th scope=\"col\">Would be refused</th></tr></thead><tbody>",
    );
    for row in rows {
        let _ = write!(out, "<tr><th scope=\"row\">{}</th><td>{}</td>", row.policy, row.mode);
        let burst = row.burst.map_or_else(|| "–".to_owned(), |burst| burst.to_string());
        let counts = [row.allowed, row.near_limit, row.refused, row.shadow].map(|count| count.to_string());
        for text in [burst].iter().chain(&counts) {
            let _ = write!(out, "<td class=\"number\">{text}</td>");
        }
        out.push_str("</tr>");
    }
    let _ = write!(out, "</tbody></table></div><p>{tracked} buckets are not full now.</p>");
}

fn outcome(out: &mut String, row: &TokenRow) {
    let time = |at: &str| format!("<time datetime=\"{at}\" data-ago>{}</time>", at.get(11..19).unwrap_or_default());
    match (&row.last_refused, row.last_reason) {
        (Some(at), Some(reason)) if row.is_refused => {
            let _ = write!(out, "<span class=\"bad\">refused</span> <code>{reason}</code> {}", time(at));
            if let Some(accepted) = &row.last_accepted {
                let _ = write!(out, ", worked until {}", time(accepted));
            }
        }
        _ => match &row.last_accepted {
            Some(at) => {
                let _ = write!(out, "<span class=\"good\">accepted</span> {}", time(at));
            }
            // A page that anybody gets proves nothing.
            None => {
                let _ = write!(out, "<span>not judged</span> {}", time(&row.last_seen));
            }
        },
    }
}

/// Since when the configuration is in force, and what came of the last attempt to load another.
pub(super) fn reload(out: &mut String, in_force: &InForce) {
    let time = |at| {
        let at = timestamp(at);
        format!("<time datetime=\"{at}\" data-ago>{}</time>", at.get(11..19).unwrap_or_default())
    };
    let _ = write!(
        out,
        "<div id=\"reload\"><p>In force since {}, <code>{}</code>.",
        time(in_force.since),
        Text(&in_force.hash)
    );
    match &in_force.attempt {
        Some(attempt) if !attempt.ok => {
            let _ = write!(
                out,
                " <span class=\"bad\">The last reload failed</span> {}: the file holds mistakes, and what was in force \
                 stays so.</p><ul class=\"wrong\">",
                time(attempt.at)
            );
            for mistake in &attempt.mistakes {
                let _ = write!(out, "<li>{}</li>", Text(mistake));
            }
            out.push_str("</ul>");
        }
        Some(attempt) if !attempt.needs_restart.is_empty() => {
            let keys = attempt.needs_restart.join(", ");
            let _ =
                write!(out, " <span class=\"bad\">Changed, and waiting for a restart</span>: <code>{keys}</code>.</p>");
        }
        _ => out.push_str("</p>"),
    }
    out.push_str("</div>");
}

/// The effective configuration.
pub(super) fn configuration(out: &mut String, rows: &[ConfigRow]) {
    out.push_str(
        "<div class=\"scroll\"><table><thead><tr><th scope=\"col\">Key</th><th scope=\"col\">Value</th>\
         <th scope=\"col\">Set by</th></tr></thead><tbody>",
    );
    for row in rows {
        let class = if row.origin == "default" { "" } else { " class=\"set\"" };
        let _ = write!(
            out,
            "<tr{class}><th scope=\"row\"><code>{}</code></th><td><code>{}</code></td><td>{}</td></tr>",
            row.key,
            Text(&row.value),
            Text(&row.origin)
        );
    }
    out.push_str("</tbody></table></div>");
}
