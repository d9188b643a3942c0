//! `error_page`, files and how they are sent.

use std::path::Path;

use super::location::{Kind, Location};
use super::quantity::{milliseconds, size_text, time_text};
use super::scope::Scope;
use super::texts::Folder;
use super::toml::{self, Table};
use super::tree::{Directive, Place, Word};
use super::work::Work;

/// Names of named locations in the text that comes out: nginx has them for each server, Corelane
/// for all.
#[derive(Clone, Debug, Default)]
pub(super) struct Named {
    names: Vec<(String, String)>,
    /// How the server's locations are found, and where each stands.
    locations: Vec<(Kind, String, Place)>,
}

impl Named {
    /// Adds `@name` as `name`.
    pub fn add(&mut self, written: &str, name: String) {
        self.names.push((written.to_owned(), name));
    }

    /// The same, with the locations of the server.
    pub fn seeing(self, locations: &[Location<'_>]) -> Named {
        let seen = |one: &Location<'_>| (one.kind, one.path.clone(), one.place);
        Named { locations: locations.iter().map(seen).collect(), ..self }
    }

    /// Whether one of these files, which stand for directories, may be found by another location
    /// than the one at `place`.
    fn index_is_elsewhere(&self, names: &[&str], place: Place) -> bool {
        let may_find = |kind: Kind, path: &str| match kind {
            Kind::Regex => true,
            Kind::Exact => names.iter().any(|name| path.ends_with(&format!("/{name}"))),
            Kind::Prefix | Kind::First => {
                let last = path.rsplit('/').next().unwrap_or_default();
                !last.is_empty() && names.iter().any(|name| name.starts_with(last))
            }
            Kind::Named => false,
        };
        self.locations.iter().any(|(kind, path, at)| *at != place && may_find(*kind, path))
    }

    /// What `@name` is called.
    pub fn name(&self, written: &str) -> Option<&str> {
        let found = self.names.iter().find(|(known, _)| known == written);
        found.map(|(_, name)| name.as_str())
    }

    /// A path or URL as it is, `@name` as it is called. Complains of one that is not there.
    fn lead(&self, word: &Word, text: String, work: &Work<'_>) -> Option<String> {
        if !text.starts_with('@') {
            return Some(text);
        }
        if let Some(name) = self.name(&text) {
            return Some(format!("@{name}"));
        }
        let what = format!("the server has no location `{text}`");
        work.complaints.error(word.place, what, format!("add `location {text} {{ … }}`"));
        None
    }
}

/// `error_pages`, as items of a TOML list.
pub(super) fn of_errors(scope: &Scope<'_>, named: &Named, work: &Work<'_>) -> Vec<String> {
    if let Some(line) = scope.one("recursive_error_pages").filter(|line| line.argument(0) == "on") {
        work.refuse(line, "an error page has no error page of its own", "set it to `off`");
    }
    let servers = match scope.is_on("proxy_intercept_errors") {
        true => ", servers = true",
        false => "",
    };
    let mut seen = Vec::new();
    let mut pages = Vec::new();
    for directive in scope.nearest(&["error_page"]) {
        let Some(page) = read_page(directive, named, work) else { continue };
        // Of several pages for a status the first counts.
        let on: Vec<u16> = page.on.into_iter().filter(|status| !seen.contains(status)).collect();
        if on.is_empty() {
            continue;
        }
        seen.extend(&on);
        let on: Vec<String> = on.iter().map(u16::to_string).collect();
        let (on, to) = (on.join(", "), toml::text(&page.to));
        let status = page.status.map(|status| format!(", status = {status}")).unwrap_or_default();
        pages.push(format!("{{ on = [{on}], to = {to}{status}{servers} }}"));
    }
    pages
}

struct Page {
    on: Vec<u16>,
    to: String,
    /// Written as it is in TOML.
    status: Option<String>,
}

fn read_page(directive: &Directive, named: &Named, work: &Work<'_>) -> Option<Page> {
    let (last, words) = directive.arguments.split_last()?;
    let mut page = Page { on: Vec::new(), to: String::new(), status: None };
    for word in words {
        match (word.text.strip_prefix('='), word.text.parse::<u16>()) {
            (Some(""), _) => page.status = Some("\"from_page\"".to_owned()),
            (Some(status), _) if status.parse::<u16>().is_ok_and(is_status) => {
                page.status = Some(status.to_owned());
            }
            // About TLS, which is not spoken here.
            (None, Ok(495..=497)) => {}
            (None, Ok(494)) => page.on.push(400),
            (None, Ok(status)) if (300..600).contains(&status) && status != 499 => {
                page.on.push(status);
            }
            _ => {
                let what = format!("`{}` is no status of an error", word.text);
                let remedy = "write such as `error_page 404 /404.html;`";
                work.complaints.error(word.place, what, remedy);
                return None;
            }
        }
    }
    let text = work.names.text(last, work.complaints)?;
    page.to = named.lead(last, text, work)?;
    Some(page)
}

fn is_status(status: u16) -> bool {
    (200..600).contains(&status)
}

/// Whether anything says where files are.
pub(super) fn has_root(scope: &Scope<'_>) -> bool {
    scope.one("root").is_some() || scope.one("alias").is_some()
}

/// `[route.files]`, if it can be.
pub(super) fn files(location: &Location<'_>, named: &Named, table: &mut Table, work: &Work<'_>) {
    let scope = &location.scope;
    let mut lines: Vec<(String, String)> = Vec::new();
    let alias_path = location.alias_path();
    let is_regex = location.kind == Kind::Regex;
    let pathless = is_regex && alias_path.is_none();
    let Some((key, folder)) = folder(scope, (is_regex, pathless), work) else { return };
    lines.push((key.to_owned(), toml::text(&folder)));
    lines.extend(alias_path.map(|path| ("alias_path".to_owned(), toml::text(&path))));
    let index = scope.nearest(&["index"]);
    let names: Vec<&Word> = index.iter().flat_map(|directive| &directive.arguments).collect();
    for word in &names {
        if word.text.contains('$') || word.text.contains('/') {
            let what = format!("the index `{}` is not honoured", word.text);
            work.complaints.error(word.place, what, "write names of files, and use `try_files`");
        }
    }
    let mut names: Vec<&str> = names.iter().map(|word| word.text.as_str()).collect();
    if names.is_empty() {
        names.push("index.html");
    }
    lines.push(("index".to_owned(), toml::list(&names)));
    if named.index_is_elsewhere(&names, location.place) {
        lines.push(("index_leads_on".to_owned(), "true".to_owned()));
    }
    if let Some(tried) = scope.own("try_files").next() {
        let Some(items) = tries(tried, named, work) else { return };
        lines.push(("try".to_owned(), toml::list(items)));
    }
    if scope.is_on("autoindex") {
        let format = scope.one("autoindex_format");
        let listing = match format.map_or("html", |format| format.argument(0)) {
            "html" => "true",
            "json" => "\"json\"",
            _ => {
                if let Some(format) = format {
                    let instead = "write `html` or `json`";
                    work.refuse(format, "listings are HTML or JSON", instead);
                }
                "true"
            }
        };
        lines.push(("listing".to_owned(), listing.to_owned()));
    }
    match scope.value("gzip_static") {
        "" | "off" => {}
        "on" => lines.push(("precompressed".to_owned(), toml::list(["gzip"]))),
        _ => {
            if let Some(directive) = scope.one("gzip_static") {
                work.refuse(directive, "clients are asked what they understand", "write `on`");
            }
        }
    }
    match expires(scope, work) {
        Some(Freshness { written, is_fixed: true }) => lines.push(("expires".to_owned(), written)),
        Some(Freshness { written, .. }) => table.put("expires", written),
        None => {}
    }
    if scope.value("etag") == "off" {
        lines.push(("etag".to_owned(), "false".to_owned()));
    }
    if let Some(line) = scope.one("max_ranges") {
        match line.argument(0).parse::<u32>() {
            Ok(most) => lines.push(("max_ranges".to_owned(), most.min(1000).to_string())),
            Err(_) => work.refuse(line, "it is no number", "write `0` for none, or how many"),
        }
    }
    symlinks(scope, &mut lines, work);
    charset(scope, &mut lines, work);
    // nginx serves files whose names begin with a dot.
    lines.push(("hidden".to_owned(), "true".to_owned()));
    let own = media(scope).into_iter().zip(media(&work.http));
    for ((key, own), _) in own.filter(|(own, outer)| own != outer) {
        if key == "types" {
            // Inner types take the place of all outer ones.
            lines.push(("only_types".to_owned(), "true".to_owned()));
        }
        lines.push((key, own));
    }
    table.below("route.files", &lines);
}

/// Where files are in this scope, for variables.
pub(super) fn whereabouts(scope: &Scope<'_>, work: &Work<'_>) -> Folder {
    let Some(directive) = scope.nearest(&["root", "alias"]).first().copied() else {
        return Folder::Unknown;
    };
    let text = work.surroundings.prefix.join(directive.argument(0)).display().to_string();
    let text = text.trim_end_matches('/').to_owned();
    if directive.is("alias") { Folder::Alias(text) } else { Folder::Root(text) }
}

/// `root` or `alias` and the folder it names.
fn folder(
    scope: &Scope<'_>,
    (is_regex, pathless): (bool, bool),
    work: &Work<'_>,
) -> Option<(&'static str, String)> {
    let directive = scope.nearest(&["root", "alias"]).first().copied()?;
    let word = directive.arguments.first()?;
    let key = if directive.is("alias") { "alias" } else { "root" };
    let has_variables = word.text.contains('$');
    if has_variables && key == "alias" && !is_regex {
        let why = "it is not known what of the path it would take the place of";
        work.refuse(directive, why, "use `root`, or an expression and `$1` in the alias");
        return None;
    }
    if pathless && key == "alias" && !has_variables {
        let why = "an expression has no path that an alias could take the place of";
        work.refuse(directive, why, "use `root`, or write `$1` for what a group of it found");
        return None;
    }
    let text = work.names.text(word, work.complaints)?;
    let path = Path::new(&text);
    let whole = work.surroundings.prefix.join(path);
    if path.is_relative() {
        let what = format!("`{}` is relative", word.text);
        let why = format!("taken as {}, below nginx's prefix", whole.display());
        work.complaints.note(word.place, what, why);
    }
    Some((key, whole.display().to_string()))
}

/// What `try_files` tries.
fn tries(directive: &Directive, named: &Named, work: &Work<'_>) -> Option<Vec<String>> {
    let (last, words) = directive.arguments.split_last()?;
    let mut items = Vec::new();
    for word in words {
        if !word.text.starts_with(['/', '$']) {
            let what = format!("`{}` in `try_files` would be glued to the root's name", word.text);
            work.complaints.error(word.place, what, format!("did you mean `/{}`?", word.text));
            return None;
        }
        items.push(work.names.text(word, work.complaints)?);
    }
    let text = last.text.as_str();
    let refuse = |what: String, remedy: &str| {
        work.complaints.error(last.place, what, remedy);
        None
    };
    match text.strip_prefix('=') {
        Some(status) if status.parse::<u16>().is_ok_and(|code| (400..600).contains(&code)) => {}
        Some(_) => {
            return refuse(format!("`{text}` is no status of an error"), "write such as `=404`");
        }
        None if text.starts_with('@') => {
            items.push(named.lead(last, text.to_owned(), work)?);
            return Some(items);
        }
        None if !text.starts_with(['/', '$']) || text.contains('#') => {
            let remedy = "end with a path such as `/index.html`, a location `@name`, or a status";
            return refuse(format!("`{text}` at the end of `try_files` is not honoured"), remedy);
        }
        None => {}
    }
    items.push(work.names.text(last, work.complaints)?);
    Some(items)
}

fn symlinks(scope: &Scope<'_>, lines: &mut Vec<(String, String)>, work: &Work<'_>) {
    let policy = match scope.value("disable_symlinks") {
        "" | "off" => "anywhere",
        "on" => "never",
        _ => {
            if let Some(directive) = scope.one("disable_symlinks") {
                work.refuse(directive, "owners are not compared", "write `on` or `off`");
            }
            return;
        }
    };
    lines.push(("symlinks".to_owned(), toml::text(policy)));
}

fn charset(scope: &Scope<'_>, lines: &mut Vec<(String, String)>, work: &Work<'_>) {
    let Some(directive) = scope.one("charset") else { return };
    match directive.argument(0) {
        "off" => {}
        name if name.contains('$') => {
            work.refuse(directive, "a charset is fixed", "write its name");
        }
        name => lines.push(("charset".to_owned(), toml::text(name))),
    }
}

/// `default_type` and `types`, which replace all that was known before.
fn media(scope: &Scope<'_>) -> Vec<(String, String)> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for block in scope.nearest(&["types"]) {
        for line in block.children() {
            let kind = toml::text(&line.name.text);
            for extension in &line.arguments {
                let name = extension.text.trim_start_matches('.').to_ascii_lowercase();
                pairs.retain(|(known, _)| *known != name);
                pairs.push((name, kind.clone()));
            }
        }
    }
    if scope.nearest(&["types"]).is_empty() {
        let known = [("html", "text/html"), ("gif", "image/gif"), ("jpg", "image/jpeg")];
        pairs = known.map(|(name, kind)| (name.to_owned(), toml::text(kind))).to_vec();
    }
    vec![
        ("default_type".to_owned(), toml::text(super::steps::media(scope))),
        ("types".to_owned(), toml::inline(&pairs)),
    ]
}

/// `[files]`: what is the same for all routes with files, if there are any.
pub(super) fn of_all(servers: &[Scope<'_>], work: &Work<'_>) -> Option<Table> {
    if !servers.iter().any(|server| says_root(server.block())) && work.http.one("root").is_none() {
        return None;
    }
    let mut table = Table::new("[files]");
    for (key, value) in media(&work.http) {
        table.put(&key, value);
    }
    // nginx knows no types but those.
    table.put("only_types", true);
    Some(table)
}

fn says_root(block: &[Directive]) -> bool {
    let says = |one: &Directive| one.is("root") || one.is("alias") || says_root(one.children());
    block.iter().any(says)
}

/// `gzip` and its settings.
pub(super) fn compress(scope: &Scope<'_>, table: &mut Table, work: &Work<'_>) {
    if !scope.is_on("gzip") {
        return;
    }
    let said = scope.nearest(&["gzip_types"]);
    let mut types = vec!["text/html"];
    for word in said.iter().flat_map(|directive| &directive.arguments) {
        if !types.contains(&word.text.as_str()) {
            types.push(&word.text);
        }
    }
    if types.contains(&"*") {
        types = vec!["*"];
    }
    let least = scope.one("gzip_min_length").and_then(|said| said.arguments.first());
    let least = least.and_then(|word| work.size(word)).unwrap_or(20);
    let level = scope.value("gzip_comp_level").parse::<u8>().unwrap_or(1).clamp(1, 9);
    table.below(
        "route.compress",
        &[
            ("algorithms".to_owned(), toml::list(["gzip"])),
            ("types".to_owned(), toml::list(types)),
            ("min_bytes".to_owned(), toml::text(&size_text(least))),
            ("level".to_owned(), format!("{{ gzip = {level} }}")),
        ],
    );
}

/// `expires`, as it is written for a route.
pub(super) struct Freshness {
    pub written: String,
    /// Whether it can also be written for the files alone, which costs less.
    pub is_fixed: bool,
}

/// `expires`; `None` if there is none, or it cannot be.
pub(super) fn expires(scope: &Scope<'_>, work: &Work<'_>) -> Option<Freshness> {
    let directive = scope.one("expires")?;
    let time = |text: &str| milliseconds(text.trim_start_matches('+')).map(time_text);
    let written = match (directive.argument(0), directive.arguments.get(1)) {
        ("off", None) => return None,
        ("epoch" | "max", None) => Some(toml::text(directive.argument(0))),
        ("modified", Some(word)) => {
            time(&word.text).map(|time| format!("{{ after_change = \"{time}\" }}"))
        }
        (text, None) if text.contains('$') => {
            let text = work.names.text(&directive.arguments[0], work.complaints)?;
            return Some(Freshness { written: toml::text(&text), is_fixed: false });
        }
        (text, None) if text.starts_with('@') => {
            milliseconds(&text[1..]).filter(|time| *time < 24 * 3_600_000).map(|time| {
                let (minutes, seconds) = (time / 60_000, time / 1000 % 60);
                let (hour, minute) = (minutes / 60, minutes % 60);
                format!("{{ daily = \"{hour:02}:{minute:02}:{seconds:02}\" }}")
            })
        }
        // What was fresh in the past is not.
        (text, None) if text.starts_with('-') => Some(toml::text("epoch")),
        (text, None) => time(text).map(|time| toml::text(&time)),
        _ => None,
    };
    if written.is_none() {
        let instead =
            "write a time such as `30d`, `modified 1h`, `@15h30m`, `max`, `epoch` or `off`";
        work.refuse(directive, "it is no time", instead);
    }
    written.map(|written| Freshness { written, is_fixed: true })
}
