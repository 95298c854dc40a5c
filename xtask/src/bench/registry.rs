//! A registry on this machine, gone when dropped.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::command::{Result, run};

/// How long the registry may take to start.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running `docker-registry`.
pub(super) struct Registry {
    process: Child,
    host: String,
}

impl Registry {
    /// Starts one that keeps everything in a folder.
    pub(super) fn start(folder: &Path) -> Result<Self> {
        let config = serde_json::json!({
            "version": 0.1,
            "log": {"level": "info", "accesslog": {"disabled": true}},
            "storage": {"filesystem": {"rootdirectory": folder.join("registry")}},
            "http": {"addr": "127.0.0.1:0"},
        });
        // JSON is YAML as well.
        fs::create_dir_all(folder)?;
        let (file, log) = (folder.join("registry.yml"), folder.join("registry.log"));
        fs::write(&file, config.to_string())?;
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log)?)
            .spawn()?;
        let mut registry = Self {
            process,
            host: String::new(),
        };
        let started = Instant::now();
        while registry.host.is_empty() {
            if started.elapsed() > PATIENCE {
                return Err("docker-registry does not start".into());
            }
            sleep(Duration::from_millis(20));
            let text = fs::read_to_string(&log)?;
            let address = text.split("listening on ").nth(1);
            if let Some((address, _)) = address.and_then(|rest| rest.split_once('"')) {
                address.clone_into(&mut registry.host);
            }
        }
        Ok(registry)
    }

    /// Copies an image here, its layers compressed in one way.
    pub(super) fn fill(&self, source: &str, format: &str) -> Result<()> {
        run(Command::new("skopeo")
            .args([
                "--insecure-policy",
                "copy",
                "--quiet",
                "--dest-tls-verify=false",
            ])
            .args(["--format", "oci", "--dest-compress-format", format])
            .arg(source)
            .arg(format!("docker://{}", self.reference(format))))
    }

    /// Returns what the image with layers of one kind is called.
    pub(super) fn reference(&self, format: &str) -> String {
        format!("{}/corpus-{format}:1", self.host)
    }

    /// Returns the address below which its layers are.
    pub(super) fn blobs(&self, format: &str) -> String {
        format!("http://{}/v2/corpus-{format}/blobs", self.host)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
