//! `corelane demo`: three origin servers and the proxy before them, with nothing else installed.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::mpsc;

use super::{logging, origin, run};
use crate::config;
use crate::control;
use crate::plan::Address;

/// The pattern of the demo's configuration.
const PATTERN: &str = include_str!("../../config.toml");
/// What it says, and what the options put in its place.
const PATTERN_PORT: u16 = 8080;
const PATTERN_ORIGINS: [u16; 3] = [3001, 3002, 3003];
/// Each shard has a balancer of its own, and the kernel picks the shard for a connection: with
/// several, the same server may answer twice in a row. The demo shows servers that take turns.
const PATTERN_SHARDS: &str = "#: shards = \"auto\"";
const SHARDS: &str = "shards = 1";

/// Options of `corelane demo`.
#[derive(clap::Args)]
pub struct Options {
    /// The proxy's port on 127.0.0.1; 0 for any free one.
    #[arg(long, default_value_t = PATTERN_PORT)]
    port: u16,
    /// The first of the origin servers' three ports; 0 for any free ones.
    #[arg(long, value_name = "PORT", default_value_t = PATTERN_ORIGINS[0])]
    origin_port: u16,
}

/// Serves until a signal asks to stop.
///
/// # Errors
/// What is in the way and how to mend it.
pub fn demo(options: &Options) -> Result<(), String> {
    let listeners = bind_origins(options.origin_port)?;
    let text = configuration(options.port, &listeners)?;
    let loaded =
        config::from_text(&text, "config.toml", &control::machine()).map_err(|errors| {
            let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
            format!("the demo's configuration is refused: {}", errors.join("\n"))
        })?;
    let (_, written_log) = logging::start(&loaded.log);
    let origins = start_origins(listeners)?;
    let running = control::start(loaded.plan, loaded.written, None);
    let running = running.map_err(|error| error.to_string())?;
    run::announce(&running);
    written_log.begin();
    if let Some(Address::Ip(address)) = running.addresses.first() {
        invite(*address);
    }
    let result = running.wait();
    drop(origins);
    result
}

fn invite(address: SocketAddr) {
    eprintln!(
        "\nopen http://{address}\n\n  \
         curl http://{address}/            the three servers take turns (*)\n  \
         curl http://{address}/headers     what a server sees\n  \
         curl http://{address}/bytes/1000 | wc -c\n  \
         also: /chunked/N /slow/MS /status/N, POST /echo, WebSocket on /ws\n\n\
         (*) The demo runs one shard; `corelane run` one for each CPU, and each takes turns by \
         itself.\n\
         Ctrl-C ends it."
    );
}

fn bind_origins(first: u16) -> Result<Vec<TcpListener>, String> {
    let ports: Vec<u16> = match first {
        0 => vec![0; 3],
        first if first > u16::MAX - 2 => return Err("--origin-port must be 65533 or less".into()),
        first => vec![first, first + 1, first + 2],
    };
    ports.into_iter().map(bind_origin).collect()
}

fn bind_origin(port: u16) -> Result<TcpListener, String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|error| {
        format!(
            "the demo's origin servers cannot listen on 127.0.0.1:{port}: {error}; find who has \
             it with: ss -ltnp 'sport = :{port}', or choose others: corelane demo --origin-port 0"
        )
    })?;
    listener.set_nonblocking(true).map_err(|error| error.to_string())?;
    Ok(listener)
}

/// The pattern with one shard and the ports in use.
fn configuration(port: u16, origins: &[TcpListener]) -> Result<String, String> {
    let mut text = PATTERN.replace(PATTERN_SHARDS, SHARDS);
    text = text.replace(&local(PATTERN_PORT), &local(port));
    // In two steps, lest a port in use be one that the pattern has for another server.
    for (number, pattern) in PATTERN_ORIGINS.iter().enumerate() {
        text = text.replace(&local(*pattern), &format!("@{number}@"));
    }
    for (number, listener) in origins.iter().enumerate() {
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        text = text.replace(&format!("@{number}@"), &address.to_string());
    }
    Ok(text)
}

fn local(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

/// Runs the origin servers on a thread of their own until the returned sender is dropped.
fn start_origins(listeners: Vec<TcpListener>) -> Result<mpsc::Sender<()>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("the demo's origin servers cannot start: {error}"))?;
    let (stop, stopped) = mpsc::channel::<()>();
    let serve = move || {
        for (number, listener) in listeners.into_iter().enumerate() {
            let name = format!("app-{}", number + 1);
            runtime.spawn(async move {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                origin::serve(listener, name, std::future::pending()).await
            });
        }
        runtime.block_on(async {
            let wait = tokio::task::spawn_blocking(move || stopped.recv());
            let _ = wait.await;
        });
    };
    let thread = std::thread::Builder::new().name("origins".into()).spawn(serve);
    thread.map_err(|error| format!("the demo's origin servers cannot start: {error}"))?;
    Ok(stop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pattern_is_the_demos_configuration() {
        let origins = bind_origins(0).unwrap();
        let text = configuration(0, &origins).unwrap();
        let loaded = config::from_text(&text, "config.toml", &control::machine()).unwrap();
        let servers: Vec<String> =
            loaded.plan.upstreams[0].servers.iter().map(|s| s.address.to_string()).collect();
        let bound: Vec<String> =
            origins.iter().map(|o| o.local_addr().unwrap().to_string()).collect();
        assert_eq!(servers, bound);
        assert_eq!(loaded.plan.listeners[0].address.to_string(), "127.0.0.1:0");
        assert_eq!(loaded.plan.shards.cpus.len(), 1);
    }
}
