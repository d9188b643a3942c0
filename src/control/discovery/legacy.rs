//! What is known of names, as text for the process that takes over: it begins with that, however
//! name servers are just then.
//!
//! A line for each server: name, address, host, weight, and whether it is a backup. How long that
//! holds is not said, since the new process looks all names up anyway when it starts.

use std::collections::HashMap;
use std::sync::Arc;

use super::Names;
use crate::plan::{Found, ServerAddress};

/// As text.
pub fn write(names: &Names) -> String {
    let mut text = String::new();
    for (name, found) in names {
        for Found { backup, address, host, weight } in found.iter() {
            text += &format!("{name} {address} {host} {weight} {backup}\n");
        }
    }
    text
}

/// What [`write()`] wrote. Lines that make no sense, as of another version, are left out.
pub fn read(text: &str) -> Names {
    let mut names: HashMap<ServerAddress, Vec<Found>> = HashMap::new();
    for (name, found) in text.lines().filter_map(read_line) {
        names.entry(name).or_default().push(found);
    }
    names.into_iter().map(|(name, found)| (name, Arc::from(found))).collect()
}

fn read_line(line: &str) -> Option<(ServerAddress, Found)> {
    let mut words = line.split(' ');
    let name = ServerAddress::read(words.next()?)?;
    let address = words.next()?.parse().ok()?;
    let host = words.next()?.to_owned();
    let (weight, backup) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some((name, Found { backup, address, host, weight }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let found = |address: &str, weight, backup| {
            let address = address.parse().unwrap();
            Found { backup, address, host: "node.test:80".to_owned(), weight }
        };
        let app = ServerAddress::Name { host: "app.test".to_owned(), port: 80 };
        let service = ServerAddress::Service("_http._tcp.app.test".to_owned());
        let names = Names::from([
            (app, [found("192.0.2.1:80", 1, false), found("[2001:db8::1]:80", 1, false)].into()),
            (service.clone(), [found("192.0.2.2:8080", 30, true)].into()),
        ]);
        let text = write(&names);
        assert_eq!(text.lines().count(), 3);
        assert_eq!(read(&text), names);
        let spoilt =
            format!("nonsense\n{text}app.test:80 192.0.2.3 x 1 true\n\napp:80 192.0.2.4:1");
        assert_eq!(read(&spoilt), names);
        // As yet unknown: nothing to pass on.
        assert_eq!(write(&Names::from([(service, [].into())])), "");
    }
}
