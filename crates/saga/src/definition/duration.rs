//! Durations as people write them: `250ms`, `10s`, `15m`, `2h`.

use std::time::Duration;

/// A hundred years: longer than anybody waits, and what a clock can add to any time that it shows.
const LONGEST: Duration = Duration::from_secs(36_500 * 24 * 60 * 60);

/// None when it is no whole number followed by ms, s, m, h or d, or longer than a hundred years (`36500d`).
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let seconds = |factor: u64| number.checked_mul(factor).map(Duration::from_secs);
    let duration = match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => seconds(1),
        "m" => seconds(60),
        "h" => seconds(60 * 60),
        "d" => seconds(24 * 60 * 60),
        _ => None,
    };
    duration.filter(|duration| *duration <= LONGEST)
}

/// As people write it: in the largest unit that needs no fraction.
pub(crate) fn text(duration: Duration) -> String {
    let millis = duration.as_millis();
    let units = [("d", 24 * 60 * 60 * 1000), ("h", 60 * 60 * 1000), ("m", 60 * 1000), ("s", 1000), ("ms", 1)];
    let (unit, size) = units.into_iter().find(|(_, size)| millis.is_multiple_of(*size)).unwrap_or(("ms", 1));
    format!("{}{unit}", millis / size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_written_as_it_was_read() {
        for duration in ["250ms", "1500ms", "30s", "90s", "15m", "2h", "1d"] {
            assert_eq!(parse(duration).map(text).as_deref(), Some(duration));
        }
    }

    #[test]
    fn durations_are_a_number_and_a_unit() {
        assert_eq!(parse("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(parse("15m"), Some(Duration::from_secs(900)));
        assert_eq!(parse("36500d"), Some(LONGEST));
        for text in ["", "s", "5", "1.5s", "-1s", "5 s", "99999999999999999999s", "18446744073709551615d", "36501d"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
