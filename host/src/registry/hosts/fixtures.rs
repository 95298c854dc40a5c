//! Certificates and keys for tests. They are known to everybody and good for nothing else.

/// A certificate that signed itself.
pub(in crate::registry) const CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----
MIIBfjCCASOgAwIBAgIUbcdCTBu4jO42u0lfGdW0sOn4DsAwCgYIKoZIzj0EAwIw
EzERMA8GA1UEAwwIbXNiIHRlc3QwIBcNMjYxMTI0MDQzNTI2WhgPMjEyNjEwMzEw
NDM1MjZaMBMxETAPBgNVBAMMCG1zYiB0ZXN0MFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAEG8iSk5ROG3zUvepe7+umoo04Kgh2Pkk2rA4s0fSgc2i7PF0b5/69Zsv5
o5Uf9piaSPEZg01+BQSbH3LbD0C3QqNTMFEwHQYDVR0OBBYEFC5mknxvSmrKTuYH
nxI+hsb3Q8IqMB8GA1UdIwQYMBaAFC5mknxvSmrKTuYHnxI+hsb3Q8IqMA8GA1Ud
EwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSQAwRgIhAOmsWq/+8xoPTTzwP9KDbElk
5wjhC5QkzDxCNCVUA3RBAiEAh839PsE9h78WATUnrdxINN26IqB7uV8Mi4CIRhSW
YkY=
-----END CERTIFICATE-----
";

/// Its key, PKCS #8.
pub(in crate::registry) const KEY: &str = "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg8oPYOYYoWZVqz7x/
J2wbuh9V3Ap/SoNlNGd6dym+3MyhRANCAAQbyJKTlE4bfNS96l7v66aijTgqCHY+
STasDizR9KBzaLs8XRvn/r1my/mjlR/2mJpI8RmDTX4FBJsfctsPQLdC
-----END PRIVATE KEY-----
";

/// Its key, SEC 1.
pub(in crate::registry) const SEC1_KEY: &str = "\
-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIPKD2DmGKFmVas+8fydsG7ofVdwKf0qDZTRnencpvtzMoAoGCCqGSM49
AwEHoUQDQgAEG8iSk5ROG3zUvepe7+umoo04Kgh2Pkk2rA4s0fSgc2i7PF0b5/69
Zsv5o5Uf9piaSPEZg01+BQSbH3LbD0C3Qg==
-----END EC PRIVATE KEY-----
";

/// The key of another one.
pub(in crate::registry) const OTHER_KEY: &str = "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgJVEEYLlrubnPctxh
In2n4ceZDWfR+7pW7FMpxaroEnShRANCAAQaCOL2B7yZ0YoUfd58we7FFSyji1V2
AUS9EwObrmq6vmsG2LF5KLTTGPc2Scd1nmrePDSaBm6FWddjAUoWJFHH
-----END PRIVATE KEY-----
";

/// Its key, with a passphrase.
pub(in crate::registry) const ENCRYPTED_KEY: &str = "\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAhvtr00+h71QwICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEMedhKB2bqQfVtZ5gO8sB/gEgZCF
Z9TVZFp9h8xIwjT35F3V3/v3oCaajr+Asg5ok6qV29tYmY459ZGwqkDwSXdmNTWJ
4YSdGYxROxoxH9937LAJm0oQEx/QvrRJCC9Iv8NCSrd0vcr2bJWDbWGw0fZMg4VS
SfkIjJ93hqlH2XG/0UZJrPll8XUx8cvpsO02uM3BqQIhv9JNoDz1QsXqlJHtjUI=
-----END ENCRYPTED PRIVATE KEY-----
";
