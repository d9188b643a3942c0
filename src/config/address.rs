//! Addresses of listeners and servers.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use crate::plan::{Address, ServerAddress};
use crate::route::HostPattern;

/// Longest path of a Unix socket: `sun_path` holds 108 bytes, the last one 0.
const UNIX_PATH_BYTES_MAX: usize = 107;

/// Why a text is no address: what is wrong with it, and what to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AddressError {
    pub what: String,
    pub remedy: String,
}

fn error<T>(what: impl Into<String>, remedy: impl Into<String>) -> Result<T, AddressError> {
    Err(AddressError { what: what.into(), remedy: remedy.into() })
}

/// `address` in a `[[listener]]`: an IP address with a port, or a Unix socket.
pub(super) fn listener(text: &str) -> Result<Address, AddressError> {
    if let Some(path) = text.strip_prefix("unix:") {
        return unix(path);
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(Address::Ip(address));
    }
    // `:8080` and `8080` mean all addresses to some programs and IPv4 only to others, and
    // a socket for both kinds fails to open where IPv6 is switched off: better to ask.
    let port = text.strip_prefix(':').unwrap_or(text);
    if port.parse::<u16>().is_ok() {
        return error(
            format!("`{text}` names no address to listen on"),
            format!("write \"0.0.0.0:{port}\" for IPv4, or \"[::]:{port}\" for IPv6 and IPv4"),
        );
    }
    if let Some(address) = without_port(text) {
        return error(
            format!("`{text}` has no port"),
            format!("did you mean \"{}\"?", SocketAddr::new(address, 8080)),
        );
    }
    if let Some(rest) = text.split_once("://").map(|(_, rest)| rest) {
        let meant = rest.split('/').next().unwrap_or_default();
        return error(
            format!("`{text}` is a URL, not an address"),
            format!("write an IP address and a port, such as \"{meant}\""),
        );
    }
    if let Some(("localhost", port)) = text.rsplit_once(':') {
        return error(
            "a listener takes an IP address, not a name",
            format!("did you mean \"127.0.0.1:{port}\"?"),
        );
    }
    error(
        format!("`{text}` is not an address"),
        "write an IP address and a port, such as \"0.0.0.0:8080\", or \"unix:/run/corelane.sock\"",
    )
}

/// A server: `IP:port`, `[IPv6]:port`, `name:port`, `unix:/path` or `srv:_service._proto.name`.
pub(super) fn server(text: &str) -> Result<ServerAddress, AddressError> {
    if let Some(path) = text.strip_prefix("unix:") {
        return unix(path).map(ServerAddress::Fixed);
    }
    if let Some(name) = text.strip_prefix("srv:") {
        return service(name).map(ServerAddress::Service);
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        return server_url(text, scheme, rest);
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return match address.port() {
            0 => error(format!("`{text}` has port 0"), "write the port the server listens on"),
            _ => Ok(ServerAddress::Fixed(Address::Ip(address))),
        };
    }
    if let Some(address) = without_port(text) {
        let meant = SocketAddr::new(address, 80);
        return error(format!("`{text}` has no port"), format!("did you mean \"{meant}\"?"));
    }
    named_server(text)
}

fn server_url(text: &str, scheme: &str, rest: &str) -> Result<ServerAddress, AddressError> {
    if scheme.eq_ignore_ascii_case("https") {
        return error(
            format!("`{text}`: TLS to servers is not part of this version"),
            "write the address of a port that speaks plain HTTP",
        );
    }
    let authority = rest.split('/').next().unwrap_or_default();
    let meant = match server(authority) {
        Ok(address) => address.to_string(),
        Err(_) => "host:port".to_owned(),
    };
    error(format!("`{text}` is a URL, not an address"), format!("did you mean \"{meant}\"?"))
}

fn named_server(text: &str) -> Result<ServerAddress, AddressError> {
    let Some((host, port)) = text.rsplit_once(':') else {
        return match host_name(text) {
            Some(host) => {
                error(format!("`{text}` has no port"), format!("did you mean \"{host}:80\"?"))
            }
            None => not_a_server(text),
        };
    };
    let Some(host) = host_name(host) else { return not_a_server(text) };
    match port.parse::<u16>() {
        Ok(port) if port > 0 => Ok(ServerAddress::Name { host, port }),
        _ => error(
            format!("`{port}` is not a port"),
            format!("write a number from 1 to 65535, such as \"{host}:80\""),
        ),
    }
}

/// The name of SRV records, in lower case. Many name servers of clusters know such names without
/// the underscores of RFC 2782, so any name will do.
fn service(text: &str) -> Result<String, AddressError> {
    if let Some((name, port)) = text.rsplit_once(':') {
        return error(
            format!("`srv:{text}` has a port, but SRV records say which"),
            match port.parse::<u16>() {
                Ok(_) => format!("write \"srv:{name}\", or \"{text}\" for its addresses"),
                Err(_) => format!("did you mean \"srv:{name}\"?"),
            },
        );
    }
    let label = |label: &str| {
        let inner = label.strip_prefix('_').unwrap_or(label);
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        !inner.is_empty() && label.len() <= 63 && inner.bytes().all(plain)
    };
    let name = text.strip_suffix('.').unwrap_or(text);
    if name.len() > 253 || !name.split('.').all(label) {
        return error(
            format!("`srv:{text}` names no SRV records"),
            "write a name such as \"srv:_http._tcp.example.com\"",
        );
    }
    Ok(name.to_ascii_lowercase())
}

/// A name server: an IP address, with a port other than 53 or without one.
pub(super) fn name_server(text: &str) -> Result<SocketAddr, AddressError> {
    let address = match (text.parse::<SocketAddr>(), without_port(text)) {
        (Ok(address), _) => Some(address),
        (_, Some(address)) => Some(SocketAddr::new(address, 53)),
        _ => None,
    };
    match address {
        Some(address) if address.port() > 0 => Ok(address),
        Some(address) => {
            let meant = SocketAddr::new(address.ip(), 53);
            error(format!("`{text}` has port 0"), format!("did you mean \"{meant}\"?"))
        }
        None => error(
            format!("`{text}` is not a name server's address"),
            "write an IP address, with a port if that is not 53: \"127.0.0.1:8600\"",
        ),
    }
}

fn not_a_server(text: &str) -> Result<ServerAddress, AddressError> {
    error(
        format!("`{text}` is not a server's address"),
        "write \"10.0.0.1:3000\", \"[2001:db8::1]:3000\", \"name:3000\" or \"unix:/run/app.sock\"",
    )
}

/// An IP address that stands alone, in brackets or not.
fn without_port(text: &str) -> Option<IpAddr> {
    text.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// A name that a resolver could know, in lower case. The same rules as for hosts of routes.
fn host_name(text: &str) -> Option<String> {
    let Ok(HostPattern::Exact(name)) = HostPattern::parse(text) else { return None };
    // No top-level domain is a number, so this is an IPv4 address with a mistake in it.
    let last = name.rsplit('.').next().unwrap_or_default();
    let number = last.bytes().all(|byte| byte.is_ascii_digit());
    (!number && !name.starts_with('[')).then_some(name)
}

fn unix(path: &str) -> Result<Address, AddressError> {
    if !path.starts_with('/') {
        return error(
            format!("`{path}` is not an absolute path"),
            "write the whole path, such as \"unix:/run/app.sock\"",
        );
    }
    if path.len() > UNIX_PATH_BYTES_MAX || path.contains('\0') {
        return error(
            format!("the path has {} bytes", path.len()),
            format!("a Unix socket's path has at most {UNIX_PATH_BYTES_MAX} bytes and no NUL"),
        );
    }
    Ok(Address::Unix(PathBuf::from(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_print_as_they_are_written() {
        let good = [
            "10.0.0.1:3000",
            "[2001:db8::1]:80",
            "app.internal:3000",
            "unix:/run/a",
            "srv:_http._tcp.a",
        ];
        for text in good {
            assert_eq!(server(text).unwrap().to_string(), text);
        }
        assert_eq!(server("App_1.Local:80").unwrap().to_string(), "app_1.local:80");
    }

    #[test]
    fn wrong_servers_get_an_answer() {
        let table = [
            ("10.0.0.1", "`10.0.0.1` has no port", "did you mean \"10.0.0.1:80\"?"),
            ("::1", "`::1` has no port", "did you mean \"[::1]:80\"?"),
            ("[::1]", "`[::1]` has no port", "did you mean \"[::1]:80\"?"),
            ("app", "`app` has no port", "did you mean \"app:80\"?"),
            ("10.0.0.1:0", "`10.0.0.1:0` has port 0", "write the port the server listens on"),
            (
                "http://app:3000/",
                "`http://app:3000/` is a URL, not an address",
                "did you mean \"app:3000\"?",
            ),
            (
                "app:http",
                "`http` is not a port",
                "write a number from 1 to 65535, such as \"app:80\"",
            ),
            ("unix:app.sock", "`app.sock` is not an absolute path", ""),
            ("10.0.0.256:80", "`10.0.0.256:80` is not a server's address", ""),
            ("a b:80", "`a b:80` is not a server's address", ""),
            ("", "`` is not a server's address", ""),
            (":80", "`:80` is not a server's address", ""),
            ("*.app:80", "`*.app:80` is not a server's address", ""),
            (
                "srv:app:80",
                "`srv:app:80` has a port, but SRV records say which",
                "write \"srv:app\", or \"app:80\" for its addresses",
            ),
            ("srv:", "`srv:` names no SRV records", ""),
            ("srv:_http..app", "`srv:_http..app` names no SRV records", ""),
            ("srv:a b", "`srv:a b` names no SRV records", ""),
        ];
        for (text, what, remedy) in table {
            let error = server(text).unwrap_err();
            assert_eq!(error.what, what);
            assert!(remedy.is_empty() || error.remedy == remedy, "{}", error.remedy);
        }
    }

    #[test]
    fn listeners() {
        for text in ["0.0.0.0:8080", "[::]:80", "127.0.0.1:0", "unix:/run/corelane.sock"] {
            assert_eq!(listener(text).unwrap().to_string(), text);
        }
        let table = [
            (":8080", "write \"0.0.0.0:8080\" for IPv4, or \"[::]:8080\" for IPv6 and IPv4"),
            ("8080", "write \"0.0.0.0:8080\" for IPv4, or \"[::]:8080\" for IPv6 and IPv4"),
            ("0.0.0.0", "did you mean \"0.0.0.0:8080\"?"),
            ("::", "did you mean \"[::]:8080\"?"),
            ("localhost:80", "did you mean \"127.0.0.1:80\"?"),
            ("http://0.0.0.0:80/", "write an IP address and a port, such as \"0.0.0.0:80\""),
        ];
        for (text, remedy) in table {
            assert_eq!(listener(text).unwrap_err().remedy, remedy, "{text}");
        }
        assert!(listener("0.0.0.0:99999").is_err());
        assert!(listener(&format!("unix:/{}", "x".repeat(107))).is_err());
    }
}
