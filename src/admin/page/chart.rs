//! Refusals of each minute of the last hour, drawn as SVG. Colours are classes: the page's policy allows no style in line.

use std::fmt::Write as _;

use super::html::Text;
use crate::domain::reason::Reason;
use crate::telemetry::ring::Minute;
use crate::telemetry::timestamp;

/// Reasons with a colour of their own; the rest share one.
const COLOURED: usize = 5;

/// Of the picture, without labels.
const HEIGHT: u64 = 120;
const STEP: u64 = 12;
const LEFT: u64 = 44;
const TOP: u64 = 8;

/// The reasons of the hour, the most frequent first, with their numbers.
pub(super) fn reasons(minutes: &[Minute]) -> Vec<(Reason, u64)> {
    let mut totals: Vec<(Reason, u64)> = Vec::new();
    for (reason, count) in minutes.iter().flat_map(|minute| &minute.counts) {
        match totals.iter_mut().find(|(known, _)| known == reason) {
            Some((_, total)) => *total += count,
            None => totals.push((*reason, *count)),
        }
    }
    totals.sort_by_key(|(reason, total)| (std::cmp::Reverse(*total), *reason));
    totals
}

/// The chart with its legend.
pub(super) fn draw(out: &mut String, minutes: &[Minute]) {
    let totals = reasons(minutes);
    let named: Vec<Reason> = totals.iter().take(COLOURED).map(|(reason, _)| *reason).collect();
    let colour = |reason: Reason| named.iter().position(|known| *known == reason).unwrap_or(COLOURED);
    let total = |minute: &Minute| minute.counts.iter().map(|(_, count)| count).sum::<u64>();
    let most = minutes.iter().map(total).max().unwrap_or_default();
    let top = nice(most);
    let width = LEFT + STEP * minutes.len() as u64 + 8;
    let _ = write!(
        out,
        "<figure><svg viewBox=\"0 0 {width} {}\" role=\"img\" aria-labelledby=\"chart-title chart-desc\">\
         <title id=\"chart-title\">Refusals per minute by reason</title><desc id=\"chart-desc\">",
        HEIGHT + TOP + 22
    );
    let _ = write!(out, "The last {} minutes; at most {most} in one.", minutes.len());
    out.push_str("</desc>");
    for (value, label) in [(0, true), (top / 2, top >= 2), (top, true)] {
        let y = TOP + HEIGHT - HEIGHT * value / top;
        let _ = write!(out, "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{y}\" y2=\"{y}\"/>", width - 8);
        if label {
            let _ = write!(
                out,
                "<text class=\"axis\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{value}</text>",
                LEFT - 6,
                y + 4
            );
        }
    }
    for (number, minute) in minutes.iter().enumerate() {
        let x = LEFT + STEP * number as u64;
        if !minute.counts.is_empty() {
            bar(out, minute, x, top, colour);
        }
    }
    for (number, anchor) in [(0, "start"), (30, "middle"), (minutes.len().saturating_sub(1), "end")] {
        if let Some(minute) = minutes.get(number) {
            let x = LEFT + STEP * number as u64 + STEP / 2;
            let y = TOP + HEIGHT + 16;
            let _ = write!(
                out,
                "<text class=\"axis\" x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{}</text>",
                clock(minute)
            );
        }
    }
    out.push_str("</svg><figcaption><ul class=\"legend\">");
    for (number, (reason, count)) in totals.iter().take(COLOURED).enumerate() {
        let _ = write!(out, "<li class=\"c{number}\">{} <b>{count}</b></li>", Text(reason.title()));
    }
    let rest: u64 = totals.iter().skip(COLOURED).map(|(_, count)| count).sum();
    if rest > 0 {
        let _ = write!(out, "<li class=\"c{COLOURED}\">others <b>{rest}</b></li>");
    }
    out.push_str("</ul></figcaption></figure>");
}

/// One minute, its reasons upon each other.
fn bar(out: &mut String, minute: &Minute, x: u64, top: u64, colour: impl Fn(Reason) -> usize) {
    let _ = write!(out, "<g><title>{}", clock(minute));
    for (reason, count) in &minute.counts {
        let _ = write!(out, "\n{count} {}", Text(reason.title()));
    }
    out.push_str("</title>");
    // Those that share a colour are one piece.
    let mut pieces = [0; COLOURED + 1];
    for (reason, count) in &minute.counts {
        if let Some(piece) = pieces.get_mut(colour(*reason)) {
            *piece += count;
        }
    }
    let mut below = 0;
    for (class, count) in pieces.into_iter().enumerate().filter(|(_, count)| *count > 0) {
        // Heights by the sums, so that rounding leaves no gap; one refusal in a thousand is still a line.
        let from = HEIGHT * below / top;
        below += count;
        let height = (HEIGHT * below / top - from).max(1);
        let y = TOP + HEIGHT - from - height;
        let _ = write!(
            out,
            "<rect class=\"c{class}\" x=\"{}\" y=\"{y}\" width=\"{}\" height=\"{height}\"/>",
            x + 1,
            STEP - 2
        );
    }
    out.push_str("</g>");
}

/// The next even number that reads well on an axis.
fn nice(most: u64) -> u64 {
    let mut step = 1;
    loop {
        for factor in [2, 4, 6, 10] {
            if most <= factor * step {
                return factor * step;
            }
        }
        if step > u64::MAX / 100 {
            return u64::MAX;
        }
        step *= 10;
    }
}

/// Hours and minutes, UTC.
fn clock(minute: &Minute) -> String {
    timestamp(minute.start).get(11..16).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn minutes(counts: &[&[(Reason, u64)]]) -> Vec<Minute> {
        let start = |number: usize| UNIX_EPOCH + Duration::from_secs(60 * number as u64);
        counts
            .iter()
            .enumerate()
            .map(|(number, counts)| Minute { start: start(number), counts: counts.to_vec() })
            .collect()
    }

    #[test]
    fn the_most_frequent_reason_comes_first() {
        let hour = minutes(&[&[(Reason::TokenExpired, 2), (Reason::RoleTooLow, 1)], &[(Reason::RoleTooLow, 4)]]);
        assert_eq!(reasons(&hour), [(Reason::RoleTooLow, 5), (Reason::TokenExpired, 2)]);
    }

    #[test]
    fn bars_fill_their_height_and_no_more() {
        let hour =
            minutes(&[&[(Reason::TokenExpired, 10)], &[(Reason::TokenExpired, 5), (Reason::RoleTooLow, 5)], &[]]);
        let mut svg = String::new();
        draw(&mut svg, &hour);
        assert_eq!(svg.matches("<rect").count(), 3);
        assert!(svg.contains("height=\"120\"") && svg.matches("height=\"60\"").count() == 2, "{svg}");
        assert!(svg.contains("at most 10 in one"));
    }

    #[test]
    fn an_axis_ends_in_a_number_that_reads_well() {
        for (most, top) in [(0, 2), (1, 2), (2, 2), (3, 4), (5, 6), (7, 10), (11, 20), (95, 100), (101, 200)] {
            assert_eq!(nice(most), top);
        }
        assert_eq!(nice(u64::MAX), u64::MAX);
    }
}
