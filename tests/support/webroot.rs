//! A directory to serve files from.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::{Config, Proxy, Tier};

/// Sun, 06 Nov 1994 08:49:37 GMT
const MODIFIED: u64 = 784_111_777;

/// A directory, and one around it that is not served.
pub struct Webroot(tempfile::TempDir);

impl Webroot {
    pub fn new() -> Webroot {
        let webroot = Webroot(tempfile::tempdir().expect("a directory"));
        fs::create_dir(webroot.root()).expect("a directory");
        webroot
    }

    /// What is served.
    pub fn root(&self) -> PathBuf {
        self.0.path().join("root")
    }

    /// What is around it.
    pub fn outside(&self) -> &Path {
        self.0.path()
    }

    /// A file of a certain time.
    pub fn put(&self, path: &str, content: impl AsRef<[u8]>) -> &Webroot {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
        fs::write(&path, content).expect("a file");
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(MODIFIED);
        let file = fs::File::options().append(true).open(&path).expect("the file");
        file.set_modified(modified).expect("a time");
        self
    }

    /// A symbolic link.
    pub fn link(&self, target: impl AsRef<Path>, name: &str) -> &Webroot {
        symlink(target, self.root().join(name)).expect("a link");
        self
    }

    /// A proxy that serves it at `/`.
    pub fn serve(&self, tier: Tier, settings: &str) -> Proxy {
        self.config(tier, settings).start()
    }

    /// The configuration of such a proxy.
    pub fn config(&self, tier: Tier, settings: &str) -> Config {
        let files = format!("[route.files]\nroot = {:?}\n{settings}", self.root());
        Config::new(tier).endless().route(&format!("path = \"/\"\n{files}"))
    }
}
