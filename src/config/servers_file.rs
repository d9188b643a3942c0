//! `servers_file`: servers of an upstream in a file of their own, which other programs may write
//! while the proxy runs.

use std::fs;

use super::check;
use super::compile;
use super::complaint::{Complaint, Complaints};
use super::file::{File, FileServers};
use super::folder_of;
use super::source::Sources;
use crate::plan::Member;

/// Reads the servers files of all upstreams. Their paths are relative to the file that names them.
pub(super) fn read_all(file: &mut File, sources: &mut Sources, complaints: &Complaints) {
    for upstream in &mut file.upstreams {
        let Some(written) = &upstream.servers_file else { continue };
        let path = folder_of(sources.name(written.spot)).join(&written.value);
        match fs::read_to_string(&path) {
            Ok(text) => {
                let number = sources.add(path.display().to_string(), text);
                let servers = File::parse_servers(sources.text(number), number, complaints);
                upstream.of_file = Some(FileServers { path, servers });
            }
            Err(error) => {
                let what = format!("`{}` cannot be read: {error}", path.display());
                let remedy = "create it, with servers = [\"127.0.0.1:3000\"] in it, or correct the \
                              path";
                complaints.error(written.spot, what, remedy);
            }
        }
    }
}

/// The servers that the `text` of a servers file describes. `name` stands for it in complaints.
///
/// # Errors
/// All that is wrong; then nothing of it counts.
pub fn servers_from_text(text: &str, name: &str) -> Result<Vec<Member>, Vec<Complaint>> {
    let mut sources = Sources::default();
    let complaints = Complaints::default();
    let number = sources.add(name.to_owned(), text.to_owned());
    let entries = File::parse_servers(sources.text(number), number, &complaints);
    check::servers_file(&entries, &complaints);
    if !complaints.is_empty() {
        return Err(complaints.into_errors(&sources));
    }
    Ok(compile::members(&entries))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn wrong(text: &str) -> Vec<String> {
        let complaints = servers_from_text(text, "app.toml").expect_err("refused");
        complaints.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn paths_are_relative_to_the_file_that_names_them() {
        for (configuration, path, found) in [
            ("/etc/corelane/config.toml", "app.toml", "/etc/corelane/app.toml"),
            ("config.toml", "app.toml", "app.toml"),
            ("sites/a.toml", "/run/app.toml", "/run/app.toml"),
        ] {
            assert_eq!(folder_of(configuration).join(path), Path::new(found));
        }
    }

    #[test]
    fn entries_are_those_of_the_configuration() {
        let text = "servers = [\"127.0.0.1:1\", { address = \"app:2\", weight = 3 },\
                    \"srv:_http._tcp.app\"]";
        let members = servers_from_text(text, "app.toml").expect("accepted");
        let shown: Vec<_> = members.iter().map(|m| (m.address.to_string(), m.weight)).collect();
        let expected = [("127.0.0.1:1", 1), ("app:2", 3), ("srv:_http._tcp.app", 1)];
        assert_eq!(shown, expected.map(|(address, weight)| (address.to_owned(), weight)));
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        for (text, complaint) in [
            (
                "",
                "app.toml:1:1: a servers file has no `servers`; add servers = [\"127.0.0.1:3000\"]",
            ),
            (
                "servers = []",
                "app.toml:1:11: `servers` is empty; add at least one, such as \"127.0.0.1:3000\"",
            ),
            (
                "servers = [\n  \"127.0.0.1\",\n]",
                "app.toml:2:3: `127.0.0.1` has no port; did you mean \"127.0.0.1:80\"?",
            ),
            (
                "servers = [\"a:1\", \"a:1\"]",
                "app.toml:1:19: the server a:1 is listed twice; remove one; a larger `weight` \
                 gives a larger share",
            ),
            (
                "server = [\"a:1\"]\nservers = [\"a:1\"]",
                "app.toml:1:1: unknown key `server` in a servers file; did you mean `servers`?",
            ),
            ("servers = [", ""),
        ] {
            let wrong = wrong(text);
            assert_eq!(wrong.len(), 1, "{wrong:?}");
            assert!(wrong[0].starts_with(complaint), "{wrong:?}");
        }
    }
}
