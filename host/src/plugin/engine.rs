//! The WebAssembly engine: one per process, started when the first plugin is called.
//!
//! Owns the engine's configuration, the cache of compiled code and the clock that stops guests.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::Path;
use std::time::Duration;

use wasmtime::{Cache, CacheConfig, Config, Engine, OptLevel, WasmBacktraceDetails};

use super::error::EngineError;
use super::limits::Budget;

/// How often a running guest is checked: the precision of its time budget and of Ctrl-C.
const TICK: Duration = Duration::from_millis(10);

/// Bytes past a memory that fault instead of being checked. Small, so that a guest takes address
/// space in proportion to its budget and msb runs under a tight `ulimit -v`.
const MEMORY_GUARD: u64 = 64 << 10;

/// Bytes of a guest's calls within itself.
pub(super) const MAX_STACK: usize = 512 << 10;

/// Starts the engine. Compiled components are kept in `cache`, a directory that only the user may
/// write: what lies there is run as native code.
pub(super) fn start(cache: &Path) -> Result<Engine, EngineError> {
    let error = |message: String| EngineError {
        cache: cache.to_owned(),
        message,
    };
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .wasm_memory64(false)
        .epoch_interruption(true)
        .cranelift_opt_level(OptLevel::Speed)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .memory_reservation(Budget::FORMAT.memory as u64)
        .memory_guard_size(MEMORY_GUARD)
        .max_wasm_stack(MAX_STACK);
    if private_directory(cache) {
        let mut settings = CacheConfig::new();
        settings.with_directory(cache);
        let cache = Cache::new(settings).map_err(|source| error(format!("{source:#}")))?;
        config.cache(Some(cache));
    }
    let engine = Engine::new(&config).map_err(|source| error(format!("{source:#}")))?;
    let weak = engine.weak();
    std::thread::Builder::new()
        .name("plugin-clock".to_owned())
        .spawn(move || {
            while let Some(engine) = weak.upgrade() {
                engine.increment_epoch();
                drop(engine);
                std::thread::sleep(TICK);
            }
        })
        .map_err(|source| error(source.to_string()))?;
    Ok(engine)
}

/// Makes `path` a directory of ours with mode 0700. `false` where that is not to be had, as in a
/// read-only store: plugins are then compiled at each start.
fn private_directory(path: &Path) -> bool {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.and_then(|()| {
        let metadata = fs::symlink_metadata(path)?;
        let ours = metadata.is_dir() && metadata.uid() == rustix::process::geteuid().as_raw();
        if !ours {
            return Err(io::Error::from(io::ErrorKind::PermissionDenied));
        }
        if metadata.mode() & 0o077 != 0 {
            fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
        }
        Ok(())
    })
    .is_ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_cache_of_compiled_code_is_private() {
        let home = tempfile::tempdir().unwrap();
        let cache = home.path().join("cache/plugins");
        assert!(private_directory(&cache));
        assert_eq!(fs::metadata(&cache).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_cache_that_others_may_write_is_closed_to_them() {
        let home = tempfile::tempdir().unwrap();
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(private_directory(home.path()));
        assert_eq!(fs::metadata(home.path()).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_link_in_place_of_the_cache_is_not_followed() {
        let home = tempfile::tempdir().unwrap();
        let link = home.path().join("link");
        std::os::unix::fs::symlink(home.path(), &link).unwrap();
        assert!(!private_directory(&link));
    }
}
