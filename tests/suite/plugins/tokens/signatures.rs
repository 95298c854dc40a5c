//! What the servers check of a request: the signature of AWS, and that of a JSON web token.

use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::KEY;
use crate::archive::{hex, sha256};
use crate::env::TestEnv;
use crate::faulty::http::Request;
use crate::tools::run;

/// Returns the signature that AWS expects of a request. Source: AWS Signature Version 4.
pub(super) fn aws_signature(request: &Request, names: &str, scope: &str) -> String {
    let headers: Vec<String> = names
        .split(';')
        .map(|name| format!("{name}:{}\n", request.header(name).unwrap()))
        .collect();
    let canonical = format!(
        "{}\n{}\n\n{}\n{names}\n{}",
        request.method,
        request.path,
        headers.concat(),
        hex(&sha256(&request.body))
    );
    let date = request.header("x-amz-date").unwrap();
    let message = format!(
        "AWS4-HMAC-SHA256\n{date}\n{scope}\n{}",
        hex(&sha256(canonical.as_bytes()))
    );
    let key = scope
        .split('/')
        .fold(format!("AWS4{KEY}").into_bytes(), |key, step| {
            hmac(&key, step)
        });
    digits(&hmac(&key, &message))
}

/// Returns the claims of a token if the key has signed it.
pub(super) fn verified(env: &TestEnv, public: &str, token: &str) -> Option<Value> {
    let (message, signature) = token.rsplit_once('.')?;
    let claims = message.split_once('.')?.1;
    env.write("message", message.as_bytes());
    env.write("signature", &URL_SAFE_NO_PAD.decode(signature).ok()?);
    let verifies = Command::new("openssl")
        .args([
            "dgst",
            "-sha256",
            "-verify",
            public,
            "-signature",
            "signature",
            "message",
        ])
        .current_dir(env.path(""))
        .output()
        .unwrap();
    let claims = URL_SAFE_NO_PAD.decode(claims).ok()?;
    verifies
        .status
        .success()
        .then(|| serde_json::from_slice(&claims).unwrap())
}

/// Makes a key pair, and returns the private one. The other is `public.pem`.
pub(in crate::plugins) fn key_pair(env: &TestEnv) -> String {
    let openssl = |arguments: &[&str]| {
        run(Command::new("openssl")
            .args(arguments)
            .current_dir(env.path("")))
    };
    openssl(&[
        "genpkey",
        "-algorithm",
        "RSA",
        "-pkeyopt",
        "rsa_keygen_bits:2048",
        "-out",
        "key.pem",
    ]);
    openssl(&["pkey", "-in", "key.pem", "-pubout", "-out", "public.pem"]);
    std::fs::read_to_string(env.path("key.pem")).unwrap()
}

/// Source: RFC 2104.
fn hmac(key: &[u8], message: &str) -> Vec<u8> {
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key);
    let padded = |with: u8| block.map(|byte| byte ^ with);
    let inner = Sha256::digest([&padded(0x36)[..], message.as_bytes()].concat());
    Sha256::digest([&padded(0x5c)[..], &inner[..]].concat()).to_vec()
}

fn digits(bytes: &[u8]) -> String {
    let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
    digits.collect::<Vec<_>>().concat()
}
