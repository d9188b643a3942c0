//! The unit, install.sh, reloads, upgrades and socket activation beside a systemd that is started
//! for that, in namespaces of its own. It takes root, and is skipped where it cannot be had.

mod support;

use std::path::Path;
use std::process::Command;

use support::binary;

/// What boot.sh ends with where something is missing.
const SKIPPED: i32 = 77;

#[test]
fn a_service_of_systemd_loses_no_request() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/live_systemd");
    let mut boot = Command::new("bash");
    boot.arg(folder.join("boot.sh")).arg(folder.join("scenario.sh")).arg(binary());
    let output = boot.output().expect("bash");
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    if output.status.code() == Some(SKIPPED) {
        return;
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{errors}");
    assert!(said.contains("all as it should be"), "{said}\n{errors}");
}
