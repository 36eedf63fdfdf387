//! The processor time of a process, from the scheduler's own account.

use std::fs;

/// Nanoseconds that all threads of the process have run. The scheduler's account is exact, where the ticks of
/// `/proc/PID/stat` are 10 ms: too coarse for a slice of 250 ms.
#[must_use]
pub fn nanoseconds(process: u32) -> u64 {
    let Ok(threads) = fs::read_dir(format!("/proc/{process}/task")) else { return 0 };
    let of_thread = |thread: fs::DirEntry| {
        let account = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        account.split(' ').next()?.parse::<u64>().ok()
    };
    threads.filter_map(|thread| of_thread(thread.ok()?)).sum()
}

#[cfg(test)]
mod tests {
    #[test]
    fn own_time_grows_with_work() {
        let before = super::nanoseconds(std::process::id());
        let mut sum = 0_u64;
        for number in 0..50_000_000_u64 {
            sum = std::hint::black_box(sum.wrapping_mul(31).wrapping_add(number));
        }
        assert!(super::nanoseconds(std::process::id()) > before, "{sum}");
    }

    #[test]
    fn process_that_is_gone_has_none() {
        assert_eq!(super::nanoseconds(u32::MAX), 0);
    }
}
