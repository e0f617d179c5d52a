//! Spans of time as people read them: `45s`, `3m12s`, `2h05m`, `3d04h`.

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// The two largest units. What lies ahead by a clock that is not ours counts as now.
pub(super) fn age(seconds: i64) -> String {
    let seconds = seconds.max(0);
    match seconds {
        ..MINUTE => format!("{seconds}s"),
        MINUTE..HOUR => format!("{}m{:02}s", seconds / MINUTE, seconds % MINUTE),
        HOUR..DAY => format!("{}h{:02}m", seconds / HOUR, seconds % HOUR / MINUTE),
        DAY.. => format!("{}d{:02}h", seconds / DAY, seconds % DAY / HOUR),
    }
}

/// Reads `90`, `90s`, `10m`, `2h` or `3d` as seconds; for clap.
pub(super) fn parse_age(text: &str) -> Result<i64, String> {
    let digits = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u32 = number.parse().map_err(|_| "a number and a unit, such as 10m".to_owned())?;
    let unit = match unit {
        "" | "s" => 1,
        "m" => MINUTE,
        "h" => HOUR,
        "d" => DAY,
        _ => return Err("the unit is s, m, h or d, such as in 10m".to_owned()),
    };
    Ok(i64::from(number) * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_told_in_its_two_largest_units() {
        for (seconds, told) in [
            (-3, "0s"),
            (0, "0s"),
            (59, "59s"),
            (60, "1m00s"),
            (192, "3m12s"),
            (3_600, "1h00m"),
            (7_530, "2h05m"),
            (86_400, "1d00h"),
            (273_600, "3d04h"),
        ] {
            assert_eq!(age(seconds), told);
        }
    }

    #[test]
    fn an_age_is_read_with_or_without_its_unit() {
        for (text, seconds) in [("90", 90), ("90s", 90), ("10m", 600), ("2h", 7_200), ("3d", 259_200)] {
            assert_eq!(parse_age(text), Ok(seconds));
        }
        for text in ["", "m", "-1m", "1w", "1.5h", "99999999999s"] {
            assert!(parse_age(text).is_err(), "{text}");
        }
    }
}
