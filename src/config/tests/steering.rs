//! `steering` of a listener.

use super::refused::check_parts;
use super::*;
use crate::plan::Steering;

fn listener(address: &str, steering: &str) -> String {
    format!("[[listener]]\naddress = \"{address}\"\nsteering = \"{steering}\"\n{UPSTREAM}{ROUTE}")
}

fn warnings(text: &str) -> Vec<String> {
    let line = |warning: &Complaint| warning.to_string().replace("corelane.toml:", "");
    accept(text).warnings.iter().map(line).collect()
}

#[test]
fn steering_is_read() {
    let of = |text: &str| accept(text).plan.listeners[0].steering;
    assert_eq!(of(&format!("{LISTENER}{UPSTREAM}{ROUTE}")), Steering::Hash);
    let words = [("hash", Steering::Hash), ("cpu", Steering::Cpu), ("balance", Steering::Balance)];
    for (word, steering) in words {
        let text = listener("0.0.0.0:80", word);
        assert_eq!(of(&text), steering);
        assert_eq!(warnings(&text), [""; 0], "{word}");
    }
    assert_eq!(of(&listener("unix:/run/x.sock", "balance")), Steering::Balance);
}

#[test]
fn wrong_steering() {
    check_parts(&[
        (
            "[[listener]]\naddress = \"127.0.0.1:81\"\nsteering = \"cpus\"",
            &["3:12: unknown `steering` \"cpus\"; did you mean `cpu`?"],
        ),
        (
            "[[listener]]\naddress = \"unix:/run/x.sock\"\nsteering = \"cpu\"",
            &["3:12: a Unix socket has no packets that would come to a CPU; write \"balance\", \
                 or remove `steering`"],
        ),
    ]);
}

#[test]
fn steering_that_changes_nothing_is_warned_of() {
    assert_eq!(
        warnings(&listener("[::1]:80", "cpu")),
        ["3:12: what comes over loopback is not steered by CPU; the kernel's hash stays; write \
          \"balance\", or remove `steering`"]
    );
    for steering in ["cpu", "balance"] {
        let text = format!("shards = 1\n{}", listener("0.0.0.0:80", steering));
        assert_eq!(
            warnings(&text),
            ["4:12: `steering` changes nothing with one shard; remove it, or run more `shards`"]
        );
    }
    assert_eq!(warnings(&format!("shards = 1\n{}", listener("0.0.0.0:80", "hash"))), [""; 0]);
}
