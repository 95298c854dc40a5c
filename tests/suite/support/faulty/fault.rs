//! What can be wrong with an answer: each fault makes of a healthy answer the one that is sent.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::http::{Answer, Delivery, Request};
use super::route::On;

pub(crate) type Fault = Arc<dyn Fn(&Request, Answer) -> Answer + Send + Sync>;

/// A fault, and which requests it is for.
pub(super) struct Rule {
    pub(super) on: On,
    pub(super) left: usize,
    pub(super) fault: Fault,
}

/// Makes a fault of any change to an answer.
pub(crate) fn change(change: impl Fn(Answer) -> Answer + Send + Sync + 'static) -> Fault {
    Arc::new(move |_, answer| change(answer))
}

/// Answers something else altogether.
pub(crate) fn instead(answer: Answer) -> Fault {
    change(move |_| answer.clone())
}

pub(crate) fn status(status: u16) -> Fault {
    instead(Answer::error(status, "UNAVAILABLE", "not now"))
}

/// 429 with a wait, in seconds or as a date.
pub(crate) fn too_many_requests(retry_after: &str) -> Fault {
    let answer = Answer::error(429, "TOOMANYREQUESTS", "slow down");
    instead(answer.with("Retry-After", retry_after))
}

fn delivered(delivery: Delivery) -> Fault {
    change(move |answer| Answer { delivery, ..answer })
}

pub(crate) fn close_after(bytes: usize) -> Fault {
    delivered(Delivery::Close(bytes))
}

pub(crate) fn reset_after(bytes: usize) -> Fault {
    delivered(Delivery::Reset(bytes))
}

pub(crate) fn stall_after(bytes: usize) -> Fault {
    delivered(Delivery::Stall(bytes))
}

/// Takes the request and never answers.
pub(crate) fn silence() -> Fault {
    instead(Answer {
        delivery: Delivery::Stall(0),
        ..Answer::new(0, Vec::new())
    })
}

/// Compresses the body, as a proxy does on the way, and says so.
pub(crate) fn encoded(name: &'static str, encode: fn(&[u8]) -> Vec<u8>) -> Fault {
    change(move |mut answer| {
        answer.body = encode(&answer.body);
        answer.with("Content-Encoding", name)
    })
}

/// Sends a page for people.
pub(crate) fn page(title: &str) -> Fault {
    let page = format!("<!DOCTYPE html>\n<html><head><title>{title}</title></head></html>");
    let answer = Answer::new(200, page.into_bytes());
    instead(answer.with("Content-Type", "text/html; charset=utf-8"))
}

/// Says not how long the body is.
pub(crate) fn no_length() -> Fault {
    delivered(Delivery::Chunked)
}

/// Says not how long the body is, nor that it has ended.
pub(crate) fn no_end() -> Fault {
    delivered(Delivery::NoEnd)
}

pub(crate) fn drip(bytes: usize, pause: Duration) -> Fault {
    delivered(Delivery::Drip(bytes, pause))
}

/// Flips a bit in the middle of the body.
pub(crate) fn flipped_bit() -> Fault {
    change(|mut answer| {
        let middle = answer.body.len() / 2;
        answer.body[middle] ^= 1;
        answer
    })
}

/// Sends a body of another length than it has, and says so.
pub(crate) fn resized(bytes: isize) -> Fault {
    change(move |mut answer| {
        let length = answer.body.len().checked_add_signed(bytes).unwrap();
        answer.body.resize(length, b'x');
        answer
    })
}

/// Says that the body has another length than it has.
pub(crate) fn lying_length(bytes: isize) -> Fault {
    change(move |answer| {
        let length = answer.body.len().checked_add_signed(bytes).unwrap();
        answer.with("Content-Length", &length.to_string())
    })
}

/// Sends all of a blob to who asks for a part of it.
pub(crate) fn ignored_range() -> Fault {
    change(|mut answer| {
        answer.status = 200;
        answer.body = answer.whole.as_ref().unwrap().to_vec();
        answer.without("Content-Range")
    })
}

/// Sends the range that was asked for with these words about it.
pub(crate) fn content_range(value: &'static str) -> Fault {
    change(move |answer| {
        if answer.status == 206 {
            answer.without("Content-Range").with("Content-Range", value)
        } else {
            answer
        }
    })
}

/// 503 with a wait.
pub(crate) fn unavailable(retry_after: &str) -> Fault {
    let answer = Answer::error(503, "UNAVAILABLE", "not now");
    instead(answer.with("Retry-After", retry_after))
}

pub(crate) fn redirect(location: &str) -> Fault {
    instead(Answer::new(302, Vec::new()).with("Location", location))
}

pub(crate) fn header(name: &'static str, value: &str) -> Fault {
    let value = value.to_owned();
    change(move |answer| answer.without(name).with(name, &value))
}

pub(crate) fn without_header(name: &'static str) -> Fault {
    change(move |answer| answer.without(name))
}

/// Changes a body that is JSON.
pub(crate) fn json(edit: impl Fn(&mut Value) + Send + Sync + 'static) -> Fault {
    change(move |mut answer| {
        let mut value = serde_json::from_slice(&answer.body).unwrap();
        edit(&mut value);
        answer.body = serde_json::to_vec(&value).unwrap();
        answer
    })
}
