//! The files in which plugins keep what outlives a run, and those in which the host keeps their answers,
//! sealed: only this user's msb reads or makes one.
//!
//! Owns their layout and limits. One that is damaged, or was sealed with another key, is empty.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

use super::bindings::msb::plugin::types::Refusal;
use super::compiled::open_ours;
use crate::fs::PRIVATE_FILE;
use crate::fs::atomic::{self, Mode};
use crate::store;

/// How names of these files end, and what their keys are for.
const STATE: (&str, &str) = (".state", "msb plugin state 1");
const ANSWERS: (&str, &str) = (".answers", "msb plugin answers 1");
/// Bytes of all values of a plugin, and their number.
const MAX_BYTES: usize = 64 << 10;
pub(super) const MAX_ENTRIES: usize = 64;
/// Bytes of a file: keys, and values in base64.
const MAX_FILE: u64 = 256 << 10;

/// What is kept under a key.
pub(super) struct Entry {
    /// What tells the secrets that it was got with from others.
    pub(super) made_of: Vec<u8>,
    pub(super) value: Zeroizing<Vec<u8>>,
    /// In seconds since 1970 began.
    pub(super) until: u64,
}

/// An entry as it is written.
#[derive(Serialize, Deserialize)]
struct Written {
    made_of: String,
    value: String,
    until: u64,
}

impl Drop for Written {
    fn drop(&mut self) {
        self.value.zeroize();
    }
}

/// The state of one plugin.
pub(super) struct PluginState {
    path: PathBuf,
    plugin: String,
    key: LessSafeKey,
    proof: hmac::Key,
}

/// Returns where such a file of a plugin is in the folder of what is compiled.
fn path(folder: &Path, plugin: &str, (suffix, _): (&str, &str)) -> PathBuf {
    folder.join(format!("{plugin}{suffix}"))
}

/// Removes the state of a plugin, and its answers.
pub(crate) fn forget(folder: &Path, plugin: &str) -> Result<(), store::StoreError> {
    store::remove(&path(folder, plugin, STATE))?;
    store::remove(&path(folder, plugin, ANSWERS))
}

impl PluginState {
    /// Returns the state of a plugin in a folder that only this user can change. `key` is what only
    /// this user has.
    pub(super) fn new(folder: &Path, plugin: &str, key: &hmac::Key) -> Option<Self> {
        Self::of(folder, plugin, key, STATE)
    }

    /// Returns the answers of a plugin, in the same way.
    pub(super) fn of_answers(folder: &Path, plugin: &str, key: &hmac::Key) -> Option<Self> {
        Self::of(folder, plugin, key, ANSWERS)
    }

    fn of(
        folder: &Path,
        plugin: &str,
        key: &hmac::Key,
        kind: (&'static str, &'static str),
    ) -> Option<Self> {
        let (_, purpose) = kind;
        let derived = |purpose: &str| hmac::sign(key, format!("{purpose}\0{plugin}").as_bytes());
        let sealing = derived(purpose);
        let key = UnboundKey::new(&AES_256_GCM, sealing.as_ref()).ok()?;
        let proof = derived(&format!("{purpose} proof"));
        Some(Self {
            path: path(folder, plugin, kind),
            plugin: plugin.to_owned(),
            key: LessSafeKey::new(key),
            proof: hmac::Key::new(hmac::HMAC_SHA256, proof.as_ref()),
        })
    }

    /// Returns what tells some bytes from others.
    pub(super) fn proof(&self, bytes: &[u8]) -> Vec<u8> {
        hmac::sign(&self.proof, bytes).as_ref().to_vec()
    }

    /// Returns all that is kept: nothing where that cannot be read.
    pub(super) fn read(&self) -> BTreeMap<String, Entry> {
        self.opened().unwrap_or_default()
    }

    fn opened(&self) -> Option<BTreeMap<String, Entry>> {
        let file = open_ours(&self.path, 0o077).ok()?;
        let mut sealed = Zeroizing::new(Vec::new());
        file.take(MAX_FILE).read_to_end(&mut sealed).ok()?;
        let (nonce, text) = sealed.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let text = self
            .key
            .open_in_place(nonce, Aad::from(self.plugin.as_bytes()), text)
            .ok()?;
        let written: BTreeMap<String, Written> = serde_json::from_slice(text).ok()?;
        let decode = |text: &str| STANDARD.decode(text).ok();
        written
            .into_iter()
            .map(|(key, written)| {
                let entry = Entry {
                    made_of: decode(&written.made_of)?,
                    value: decode(&written.value)?.into(),
                    until: written.until,
                };
                Some((key, entry))
            })
            .collect()
    }

    /// Keeps entries, in the place of what was there.
    pub(super) fn write(&self, entries: &BTreeMap<String, Entry>) -> Result<(), Refusal> {
        let total: usize = entries.values().map(|entry| entry.value.len()).sum();
        if entries.len() > MAX_ENTRIES || total > MAX_BYTES {
            return Err(Refusal::TooLarge(format!(
                "a plugin keeps at most {MAX_ENTRIES} values of {} KiB in all",
                MAX_BYTES >> 10
            )));
        }
        let written: BTreeMap<&String, Written> = entries
            .iter()
            .map(|(key, entry)| {
                let written = Written {
                    made_of: STANDARD.encode(&entry.made_of),
                    value: STANDARD.encode(&*entry.value),
                    until: entry.until,
                };
                (key, written)
            })
            .collect();
        let failed = |what: &str| Refusal::Failed(format!("could not keep a value: {what}"));
        let mut text = Zeroizing::new(Vec::with_capacity(MAX_BYTES));
        serde_json::to_writer(&mut *text, &written).map_err(|error| failed(&error.to_string()))?;
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new()
            .fill(&mut nonce)
            .map_err(|_| failed("the system has no random numbers"))?;
        let aad = Aad::from(self.plugin.as_bytes());
        let used = Nonce::assume_unique_for_key(nonce);
        self.key
            .seal_in_place_append_tag(used, aad, &mut *text)
            .map_err(|_| failed("it cannot be sealed"))?;
        let sealed = [&nonce[..], &text].concat();
        atomic::write(&self.path, Mode::Exactly(PRIVATE_FILE), &sealed)
            .map_err(|error| failed(&error.to_string()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn state(folder: &Path, plugin: &str, key: u8) -> PluginState {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &[key; 32]);
        PluginState::new(folder, plugin, &key).unwrap()
    }

    fn entries(value: &[u8]) -> BTreeMap<String, Entry> {
        let entry = Entry {
            made_of: b"of".to_vec(),
            value: value.to_vec().into(),
            until: 7,
        };
        BTreeMap::from([("key".to_owned(), entry)])
    }

    #[test]
    fn what_is_kept_is_read_by_its_plugin_of_this_user_alone() {
        let folder = tempfile::tempdir().unwrap();
        let mine = state(folder.path(), "mine", 1);
        mine.write(&entries(b"secret-token")).unwrap();
        let path = path(folder.path(), "mine", STATE);
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"secret"));
        let kept = mine.read().remove("key").unwrap();
        assert_eq!((&kept.value[..], kept.until), (&b"secret-token"[..], 7));
        assert!(state(folder.path(), "mine", 2).read().is_empty());
        std::fs::copy(&path, folder.path().join("other.state")).unwrap();
        assert!(state(folder.path(), "other", 1).read().is_empty());
        // Nor is one kind of file the other.
        std::fs::copy(&path, folder.path().join("mine.answers")).unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &[1; 32]);
        let answers = PluginState::of_answers(folder.path(), "mine", &key).unwrap();
        assert!(answers.read().is_empty());
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            std::fs::write(&path, &flipped).unwrap();
            assert!(mine.read().is_empty(), "{at}");
        }
        forget(folder.path(), "mine").unwrap();
        assert!(!path.exists() && !folder.path().join("mine.answers").exists());
    }

    #[test]
    fn no_plugin_keeps_more_than_it_may() {
        let folder = tempfile::tempdir().unwrap();
        let mine = state(folder.path(), "mine", 1);
        mine.write(&entries(&vec![0; MAX_BYTES])).unwrap();
        assert_eq!(mine.read()["key"].value.len(), MAX_BYTES);
        let more = mine.write(&entries(&vec![0; MAX_BYTES + 1]));
        assert!(matches!(more, Err(Refusal::TooLarge(_))));
    }
}
