//! Byte counts and durations for people, and as people write them.

use std::time::Duration;

/// Returns a byte count with one decimal and a binary unit: `14.0 MiB`.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut divisor = 1024_u128;
    let mut units = UNITS.iter();
    let mut unit = units.next();
    loop {
        // Integers, for a float would lose bytes that a test could count; rounded to the nearest.
        let tenths = (u128::from(count) * 10 + divisor / 2) / divisor;
        let larger = units.next();
        if tenths < 10_240 || larger.is_none() {
            let unit = unit.unwrap_or(&"");
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
        unit = larger;
        divisor *= 1024;
    }
}

/// Returns a duration in seconds with one decimal, above a minute in minutes and seconds.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 60 {
        format!("{seconds}.{}s", duration.subsec_millis() / 100)
    } else {
        format!("{}m {:02}s", seconds / 60, seconds % 60)
    }
}

/// Reads a byte count: a number, with a unit or without. `K`, `M`, `G` and `T`, and those with `iB`, are
/// powers of 1024; those with `B` alone of 1000.
pub(crate) fn parse_bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is not a size: write it like 500MiB, 20G or 1000000");
    let (number, unit) = number_and_unit(text).ok_or_else(wrong)?;
    let lower = unit.to_ascii_lowercase();
    let (letter, base) = match lower.strip_suffix("ib") {
        Some(letter) => (letter, 1024),
        None => match lower.strip_suffix('b') {
            Some(letter) => (letter, 1000),
            None => (&*lower, 1024),
        },
    };
    let power = ["", "k", "m", "g", "t", "p"]
        .iter()
        .position(|known| *known == letter)
        .and_then(|power| u32::try_from(power).ok())
        .ok_or_else(wrong)?;
    scaled(number, u64::pow(base, power)).ok_or_else(wrong)
}

/// Reads a time: a number and one of `s`, `m`, `h`, `d` and `w`.
pub(crate) fn parse_time(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a time: write it like 90s, 45m, 12h, 30d or 8w");
    let (number, unit) = number_and_unit(text).ok_or_else(wrong)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return Err(wrong()),
    };
    scaled(number, seconds)
        .map(Duration::from_secs)
        .ok_or_else(wrong)
}

/// Returns the digits at the beginning of a text, which may have a point, and what comes after them.
fn number_and_unit(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (number, unit) = text.split_at(end.unwrap_or(text.len()));
    let is_number = number.starts_with(|c: char| c.is_ascii_digit());
    is_number.then_some((number, unit.trim()))
}

/// Returns a number with a point or without times a scale, rounded down.
fn scaled(number: &str, scale: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole = whole.parse::<u64>().ok()?.checked_mul(scale)?;
    if fraction.is_empty() {
        return (!number.ends_with('.')).then_some(whole);
    }
    // More digits than these make no byte.
    let digits = fraction.get(..fraction.len().min(9))?;
    let parts = u128::from(digits.parse::<u64>().ok()?) * u128::from(scale);
    let parts = parts / u128::from(10_u64.pow(u32::try_from(digits.len()).ok()?));
    whole.checked_add(u64::try_from(parts).ok()?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn byte_counts_are_read_as_people_write_them() {
        for (text, bytes) in [
            ("0", 0),
            ("1000000", 1_000_000),
            ("1k", 1024),
            ("1.5 KiB", 1536),
            ("20GB", 20_000_000_000),
            ("20GiB", 20 << 30),
            ("2T", 2 << 40),
            ("0.1MB", 100_000),
        ] {
            assert_eq!(parse_bytes(text).unwrap(), bytes, "{text}");
        }
        for text in [
            "",
            "G",
            "-1",
            "1X",
            "1.",
            ".5G",
            "1.2.3",
            "99999999999T",
            "1 000",
        ] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_are_read_with_their_unit() {
        for (text, seconds) in [("90s", 90), ("1.5h", 5400), ("30d", 2_592_000), ("0w", 0)] {
            assert_eq!(
                parse_time(text).unwrap(),
                Duration::from_secs(seconds),
                "{text}"
            );
        }
        for text in ["", "30", "1y", "d", "-1d"] {
            assert!(parse_time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn byte_counts_have_one_decimal_and_a_binary_unit() {
        for (count, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (1_048_524, "1023.9 KiB"),
            (1_048_575, "1.0 MiB"),
            (14_680_064, "14.0 MiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn durations_change_to_minutes_at_one() {
        for (millis, text) in [
            (0, "0.0s"),
            (549, "0.5s"),
            (59_999, "59.9s"),
            (60_000, "1m 00s"),
            (3_725_000, "62m 05s"),
        ] {
            assert_eq!(duration(Duration::from_millis(millis)), text);
        }
    }
}
