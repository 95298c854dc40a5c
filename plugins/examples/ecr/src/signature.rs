//! AWS Signature Version 4, made in the host: no key and no signature is ever read here.

use msb_plugin::system::{Derive, Encoding, Part, Refusal, Secret};

use crate::TARGET;

pub(crate) const CONTENT_TYPE: &str = "application/x-amz-json-1.1";
/// SHA-256 of the body `{}`.
const BODY: &str = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

/// The keys of a user.
pub(crate) struct Keys {
    pub(crate) id: Secret,
    pub(crate) secret: Secret,
    pub(crate) session: Option<Secret>,
}

/// What a request is sent with.
pub(crate) struct Signed {
    pub(crate) date: String,
    pub(crate) authorization: Secret,
}

/// Signs the request for a login.
pub(crate) fn sign(
    system: &impl Derive,
    keys: &Keys,
    host: &str,
    region: &str,
    now: u64,
) -> Result<Signed, Refusal> {
    let date = date(now);
    let day = &date[..8];
    let mut names = "content-type;host;x-amz-date;x-amz-target";
    let head = format!("POST\n/\n\ncontent-type:{CONTENT_TYPE}\nhost:{host}\nx-amz-date:{date}\n");
    let mut canonical = vec![Part::Text(&head)];
    if let Some(session) = &keys.session {
        names = "content-type;host;x-amz-date;x-amz-security-token;x-amz-target";
        canonical.extend(["x-amz-security-token:".into(), session.into(), "\n".into()]);
    }
    let tail = format!("x-amz-target:{TARGET}\n\n{names}\n{BODY}");
    canonical.push(Part::Text(&tail));
    let digest = system.sha256(&system.join(&canonical)?)?;

    let scope = format!("{day}/{region}/ecr/aws4_request");
    let head = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n");
    let message = system.join(&[(&head).into(), Part::Secret(&digest, Encoding::Hex)])?;
    let mut key = system.join(&["AWS4".into(), (&keys.secret).into()])?;
    for step in [day, region, "ecr", "aws4_request"] {
        key = system.hmac_sha256(&key, &Secret::new(step))?;
    }
    let signature = system.hmac_sha256(&key, &message)?;
    let middle = format!("/{scope}, SignedHeaders={names}, Signature=");
    let authorization = system.join(&[
        "AWS4-HMAC-SHA256 Credential=".into(),
        (&keys.id).into(),
        (&middle).into(),
        Part::Secret(&signature, Encoding::Hex),
    ])?;
    Ok(Signed {
        date,
        authorization,
    })
}

/// Writes a time as AWS does: `20130524T000000Z`.
fn date(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // From days to the calendar: eras of 400 years that begin in March.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn times_are_written_as_aws_does() {
        for (seconds, text) in [
            (0, "19700101T000000Z"),
            (1_369_353_600, "20130524T000000Z"),
            (951_782_399, "20000228T235959Z"),
            (951_868_800, "20000301T000000Z"),
            (1_709_210_096, "20240229T123456Z"),
        ] {
            assert_eq!(date(seconds), text);
        }
    }
}
