//! What microsandbox 0.7 keeps in its home, and how its processes keep out of each other's way.
//!
//! Owns the records of its images, and the locks and leases by which files come and go. Where the files
//! are is in [`Home`](crate::home::Home), for both may share one. Knows neither our store nor what is
//! done with all this. Source: the crate microsandbox-image 0.7.13, `cache/store.rs`, `cache/lock.rs` and
//! `storage_lease.rs`.

#[cfg(feature = "registry")]
mod lease;
mod record;

#[cfg(feature = "registry")]
pub(crate) use lease::{CacheError, Lease, claim_all, gate, lock, share};
pub(crate) use record::{ListedRecord, records};
#[cfg(feature = "registry")]
pub(crate) use record::{Mark, Record, RecordConfig, RecordLayer, read, record_path};
