//! Host and path to route.
//!
//! A route is a plain condition: its hosts and its path must both match. Among the routes that
//! match a request, the most specific host wins first (exact, then the longest `*.name`, the
//! longest `name.*`, the first regular expression in the order of the file, then any), then the
//! most specific path (exact, then the longest prefix if it is one that comes first, the first
//! regular expression in the order of the file, then the longest prefix). That is nginx's order.
//!
//! A route for any host therefore really serves any host: a request for a host that has routes of
//! its own, but none for this path, goes on to less specific hosts. nginx answers 404 there,
//! because its locations are nested in one server block; routes are not nested, and someone who
//! writes `host = "example.com", path = "/api"` above a route for everything expects the rest of
//! example.com to reach that route. To keep a host to itself, give it a route for `/`.

mod escape;
mod expression;
mod file_path;
mod host;
mod path;
mod paths;
mod table;

pub use escape::{decoded, put_argument, put_escaped, put_location, put_target};
pub use expression::Expression;
pub use file_path::{PathFault, decode_file_path, encode_file_path, is_hidden};
pub use host::{HostPattern, HostPatternError, bare_host};
pub use path::{PathPattern, PathPatternError, normalise};
pub use paths::Found;
pub use table::{Table, TableBuilder};
