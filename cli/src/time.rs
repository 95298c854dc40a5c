//! Moments as the clock on the wall shows them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Returns a moment of the store, RFC 3339, as local time; as it is if it is none.
pub(crate) fn local(text: &str) -> String {
    in_zone(text, TimeZone::system())
}

fn in_zone(text: &str, zone: TimeZone) -> String {
    match text.parse::<Timestamp>() {
        Ok(moment) => moment
            .to_zoned(zone)
            .strftime("%Y-%m-%d %H:%M:%S")
            .to_string(),
        Err(_) => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::offset;

    use super::*;

    #[test]
    fn a_moment_is_shown_in_the_zone_without_its_fraction() {
        let zone = TimeZone::fixed(offset(2));
        let moment = "2026-08-01T23:30:05.25+00:00";
        assert_eq!(in_zone(moment, zone), "2026-08-02 01:30:05");
        assert_eq!(in_zone("never", TimeZone::UTC), "never");
    }
}
