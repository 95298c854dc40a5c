//! Byte counts and durations for people.

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

#[cfg(test)]
mod tests {
    use super::*;

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
