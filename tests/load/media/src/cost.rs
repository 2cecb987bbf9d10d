//! Time and CPU of a stretch of this program, and of the processes that it started and saw end.

use std::time::Instant;

use serde::Serialize;

/// Linux tells times in hundredths of a second, whatever its own clock does (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

/// Seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Cost {
    pub wall: f64,
    pub user: f64,
    pub system: f64,
}

pub struct Stopwatch {
    since: Instant,
    user: f64,
    system: f64,
}

impl Stopwatch {
    /// # Errors
    /// Where there is no Linux `/proc`.
    pub fn start() -> std::io::Result<Self> {
        let (user, system) = processor()?;
        Ok(Self { since: Instant::now(), user, system })
    }

    /// # Errors
    /// Where there is no Linux `/proc`.
    pub fn stop(self) -> std::io::Result<Cost> {
        let wall = self.since.elapsed().as_secs_f64();
        let (user, system) = processor()?;
        Ok(Cost { wall, user: user - self.user, system: system - self.system })
    }
}

/// User and system seconds so far.
fn processor() -> std::io::Result<(f64, f64)> {
    let text = std::fs::read_to_string("/proc/self/stat")?;
    times(&text).ok_or_else(|| std::io::Error::other("/proc/self/stat is not as proc(5) says"))
}

/// proc(5): fields 14 to 17 are utime, stime, cutime and cstime. Field 2 is a name in brackets, which
/// may hold blanks and brackets of its own.
fn times(stat: &str) -> Option<(f64, f64)> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut ticks = rest.split(' ').skip(11).map(|field| field.parse::<u32>().ok().map(f64::from));
    let mut next = || ticks.next().flatten();
    let (user, system) = (next()?, next()?);
    let (user, system) = (user + next()?, system + next()?);
    Some((user / TICKS_PER_SECOND, system / TICKS_PER_SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_time_and_that_of_children_count() {
        let stat = "7 (a ) name) S 1 7 7 0 -1 4194560 1 2 3 4 100 20 300 4 20 0 1 0 99";
        assert_eq!(times(stat), Some((4.0, 0.24)));
        assert_eq!(times("7 (short) S 1 7"), None);
    }
}
