//! Who may change a running proxy.

use std::fs::{self, Metadata};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::config::complain_unreadable;
use crate::config::complaint::Complaints;
use crate::config::file::{AdminTable, ListenerTable, TOKEN_REMEDY};
use crate::plan::{Address, Token, is_loopback};

/// Longest content of a token's file, bytes.
const TOKEN_BYTES_MAX: usize = 4096;

/// Reads the token's file. Its path is relative to `folder`.
pub(in crate::config) fn read_token(
    admin: &mut AdminTable,
    folder: &Path,
    complaints: &Complaints,
) {
    let Some(file) = &admin.token_file else { return };
    let path = folder.join(&file.value);
    let shown = path.display();
    let text = fs::read_to_string(&path).and_then(|text| Ok((text, fs::metadata(&path)?)));
    match text {
        Err(error) => complain_unreadable(complaints, file.spot, &path, &error),
        Ok((text, metadata)) => {
            let token = Some(text.trim()).filter(|text| text.len() <= TOKEN_BYTES_MAX);
            admin.token_read = token.and_then(Token::new);
            if admin.token_read.is_none() {
                let what = format!("`{shown}` holds no token");
                complaints.error(file.spot, what, TOKEN_REMEDY);
            } else if is_readable_by_all(&metadata) {
                let what = format!("every user of this machine may read `{shown}`");
                complaints.warning(file.spot, what, format!("run: chmod o-rwx {shown}"));
            }
        }
    }
}

fn is_readable_by_all(metadata: &Metadata) -> bool {
    metadata.permissions().mode() & 0o004 != 0
}

/// Complains of an address that anybody could change the proxy through, and of what has no effect.
pub(super) fn check(admin: &AdminTable, listeners: &[ListenerTable], complaints: &Complaints) {
    if let (Some(_), Some(file)) = (&admin.token, &admin.token_file) {
        complaints.error(file.spot, "there is a `token` already", "keep one of the two");
    }
    let Some(address) = &admin.address else { return };
    let taken = listeners.iter().filter_map(|listener| listener.address.as_ref());
    let has_port = !matches!(&address.value, Address::Ip(ip) if ip.port() == 0);
    if has_port && taken.into_iter().any(|taken| taken.value == address.value) {
        let what = format!("there is a listener on {} already", address.value);
        complaints.error(address.spot, what, "choose another address for [admin]");
    }
    let token_spot = admin.token.as_ref().map(|token| token.spot);
    let token_spot = token_spot.or(admin.token_file.as_ref().map(|file| file.spot));
    match (&address.value, token_spot, &admin.mode) {
        (Address::Unix(_), Some(spot), _) => {
            let what = "a token has no effect: the permissions of a Unix socket decide";
            complaints.error(spot, what, "remove it, or listen on \"127.0.0.1:9900\"");
        }
        (Address::Ip(_), _, Some(mode)) => {
            let what = "`mode` has no effect: only a Unix socket has permissions";
            complaints.error(mode.spot, what, "remove it");
        }
        (Address::Ip(ip), None, _) if !is_loopback(ip.ip()) => {
            let what = format!("{ip} can be reached from other machines, and there is no token");
            let remedy =
                "add token_file = \"admin.token\", or listen on 127.0.0.1 or a Unix socket";
            complaints.error(address.spot, what, remedy);
        }
        _ => {}
    }
}
