//! `[admin]`, accepted and refused.

use std::os::unix::fs::PermissionsExt;

use super::refused::check_parts;
use super::{LISTENER, ROUTE, UPSTREAM, accept, machine};
use crate::config::Origin;
use crate::config::{admin, load};
use crate::plan::{Address, AdminPlan};

const TOKEN: &str = "0123456789abcdef";

fn with(table: &str) -> String {
    format!("[admin]\n{table}\n{LISTENER}{UPSTREAM}{ROUTE}")
}

fn accepted(table: &str) -> AdminPlan {
    accept(&with(table)).plan.admin.expect("an admin address")
}

#[test]
fn there_is_none_unless_asked_for() {
    assert_eq!(accept(&format!("{LISTENER}{UPSTREAM}{ROUTE}")).plan.admin, None);
}

#[test]
fn sockets_have_a_mode_and_addresses_a_token() {
    let unix = accepted("address = \"unix:/run/corelane/admin.sock\"");
    assert_eq!(unix.address, Address::Unix("/run/corelane/admin.sock".into()));
    assert_eq!((unix.mode, unix.token), (0o600, None));
    for mode in ["0660", "660"] {
        let unix = accepted(&format!("address = \"unix:/s\"\nmode = \"{mode}\""));
        assert_eq!(unix.mode, 0o660);
    }
    let tcp = accepted("address = \"127.0.0.1:9900\"");
    assert_eq!((tcp.address.to_string().as_str(), tcp.token), ("127.0.0.1:9900", None));
    let public = accepted(&format!("address = \"0.0.0.0:9900\"\ntoken = \"{TOKEN}\""));
    assert_eq!(public.token.expect("a token").reveal(), TOKEN);
}

#[test]
fn what_is_wrong_is_named() {
    check_parts(&[
        (
            "[admin]\nmode = \"0660\"",
            &["1:1: [admin] has no `address`; add address = \"unix:/run/corelane/admin.sock\""],
        ),
        (
            "[admin]\nlisten = \"127.0.0.1:9900\"",
            &["2:1: `listen` is called `address` in [admin]; did you mean `address`?"],
        ),
        (
            "[admin]\naddress = \"localhost:9900\"",
            &["2:11: a listener takes an IP address, not a name; did you mean \"127.0.0.1:9900\"?"],
        ),
        (
            "[admin]\naddress = \"10.0.0.1:9900\"",
            &["2:11: 10.0.0.1:9900 can be reached from other machines, and there is no token; \
                 add token_file = \"admin.token\", or listen on 127.0.0.1 or a Unix socket"],
        ),
        (
            "[admin]\naddress = \"127.0.0.1:8080\"\nmode = \"rw\"",
            &[
                "2:11: there is a listener on 127.0.0.1:8080 already; choose another address for \
                 [admin]",
                "3:8: `mode` is \"rw\"; write permissions as chmod takes them, such as \"0660\"",
            ],
        ),
        (
            "[admin]\naddress = \"127.0.0.1:1\"\nmode = \"600\"\ntoken = \"secret\"",
            &[
                "3:8: `mode` has no effect: only a Unix socket has permissions; remove it",
                "4:9: `token` is no token; write 16 visible ASCII characters or more without \
                 blanks; one is made by: openssl rand -hex 32",
            ],
        ),
        (
            "[admin]\naddress = \"unix:/s\"\ntoken = \"0123456789abcdef\"\ntoken_file = \"none\"",
            &[
                "3:9: a token has no effect: the permissions of a Unix socket decide; remove it, \
                 or listen on \"127.0.0.1:9900\"",
                "4:14: `none` cannot be read: No such file or directory (os error 2); check its \
                 path and permissions",
                "4:14: there is a `token` already; keep one of the two",
            ],
        ),
        (
            "[admin]\naddress = \"unix:/s\"\ntokn = \"x\"",
            &["3:1: unknown key `tokn` in [admin]; did you mean `token`?"],
        ),
    ]);
}

#[test]
fn a_tokens_file_is_beside_the_configuration() {
    let dir = tempfile::tempdir().expect("a directory");
    let (file, token) = (dir.path().join("corelane.toml"), dir.path().join("token"));
    let table = "address = \"0.0.0.0:9900\"\ntoken_file = \"token\"";
    std::fs::write(&file, with(table)).expect("a file");
    std::fs::write(&token, format!("{TOKEN}\n")).expect("a file");
    let loaded = |mode| {
        std::fs::set_permissions(&token, PermissionsExt::from_mode(mode)).expect("its owner");
        load(&Origin::Toml(file.clone()), &machine()).expect("accepted")
    };
    let plan = loaded(0o600).plan.admin.expect("an admin address");
    assert_eq!(plan.token.expect("a token").reveal(), TOKEN);
    assert!(loaded(0o600).warnings.is_empty());
    let warning = loaded(0o644).warnings[0].to_string();
    assert!(warning.contains("every user of this machine may read"), "{warning}");
    std::fs::write(&token, "short\n").expect("a file");
    let refused = load(&Origin::Toml(file.clone()), &machine()).expect_err("no token");
    assert!(refused[0].to_string().contains("/token` holds no token; write 16"), "{}", refused[0]);
}

/// `corelane ctl` finds its proxy also while somebody edits the file.
#[test]
fn a_file_with_mistakes_still_says_where_to_ask() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("corelane.toml");
    let read = |text: &str| {
        std::fs::write(&file, text).expect("a file");
        admin(&file, |_| true).map_err(|complaints| complaints[0].to_string())
    };
    let address = |text: &str| read(text).map(|plan| plan.map(|plan| plan.address.to_string()));
    let unix = "[admin]\naddress = \"unix:/s\"\n";
    assert_eq!(address(&format!("{unix}[nonsense]\na = 1")), Ok(Some("unix:/s".to_owned())));
    assert_eq!(address(&format!("{unix}[[listener]]\naddress = oops")), Ok(Some("unix:/s".into())));
    assert_eq!(address("[[listener]]\naddress = \"0.0.0.0:80\""), Ok(None));
    let wrong = address("[admin]\naddress = \"9900\"").expect_err("no address");
    assert!(wrong.contains("corelane.toml:2:11: "), "{wrong}");
    let unreadable = format!("{unix}token_file = \"none\"\n");
    assert!(address(&unreadable).is_err());
    assert!(admin(&file, |_| false).is_ok_and(|plan| plan.is_some()), "the caller has a token");
    let broken = address("[[listener\n").expect_err("no TOML");
    assert!(broken.contains("corelane.toml:1:"), "{broken}");
    std::fs::remove_file(&file).expect("a file");
    let gone = admin(&file, |_| false).expect_err("no file")[0].to_string();
    assert!(gone.contains("the file cannot be read"), "{gone}");
}
