//! What `top` shows, and what keys do to it.

use std::cmp::Ordering;
use std::collections::VecDeque;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::figures::{Figures, Server};

/// Rates that are remembered for the line of them.
const HISTORY: usize = 300;

/// What follows from a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Go on.
    Stay,
    /// End.
    Quit,
}

/// A column of the table of servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    Server,
    Upstream,
    Status,
    Requests,
    Share,
    Active,
    Failures,
    P99,
}

impl Column {
    /// In their order; the keys 1 to 8 sort by them.
    pub const ALL: [Column; 8] = [
        Column::Server,
        Column::Upstream,
        Column::Status,
        Column::Requests,
        Column::Share,
        Column::Active,
        Column::Failures,
        Column::P99,
    ];

    /// Its heading.
    pub fn name(self) -> &'static str {
        match self {
            Column::Server => "SERVER",
            Column::Upstream => "UPSTREAM",
            Column::Status => "STATUS",
            Column::Requests => "REQ/S",
            Column::Share => "SHARE",
            Column::Active => "ACTIVE",
            Column::Failures => "FAILED",
            Column::P99 => "P99",
        }
    }

    /// Whether what is large comes first.
    fn is_figure(self) -> bool {
        !matches!(self, Column::Server | Column::Upstream | Column::Status)
    }

    fn compare(self, a: &Server, b: &Server) -> Ordering {
        let of = |x: Option<f64>, y: Option<f64>| x.unwrap_or(-1.0).total_cmp(&y.unwrap_or(-1.0));
        match self {
            Column::Server => a.server.cmp(&b.server),
            Column::Upstream => a.upstream.cmp(&b.upstream),
            Column::Status => a.status.cmp(&b.status),
            Column::Requests => a.requests_per_s.total_cmp(&b.requests_per_s),
            Column::Share => of(a.share, b.share),
            Column::Active => a.active.cmp(&b.active),
            Column::Failures => a.failures.cmp(&b.failures),
            Column::P99 => a.p99_us.cmp(&b.p99_us),
        }
    }
}

/// All that the screen is drawn from.
#[derive(Default)]
pub struct State {
    /// Where the figures come from.
    pub target: String,
    /// The newest; `None`: none came yet.
    pub figures: Option<Figures>,
    /// Why none come for now.
    pub lost: Option<String>,
    /// Requests a second, the newest last.
    pub history: VecDeque<u64>,
    /// What servers are sorted by, and whether the other way round; `None`: as configured.
    pub sort: Option<(Column, bool)>,
    /// What the servers shown have in their names, upstreams or statuses.
    pub filter: String,
    /// It is being typed.
    pub typing: bool,
    /// The first server that is shown.
    pub offset: usize,
    /// How many fit, as they were drawn last.
    pub page: usize,
}

impl State {
    /// Before anything came from `target`.
    pub fn new(target: String) -> State {
        State { target, page: 1, ..State::default() }
    }

    /// Of what was asked for once.
    pub fn with(figures: Figures) -> State {
        State { figures: Some(figures), ..State::default() }
    }

    /// Takes in new figures.
    pub fn take(&mut self, figures: Figures) {
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(figures.requests_per_s.round() as u64);
        self.figures = Some(figures);
        self.lost = None;
    }

    /// Servers that pass the filter, in order.
    pub fn servers(&self) -> Vec<&Server> {
        let Some(figures) = &self.figures else { return Vec::new() };
        let words = self.filter.to_lowercase();
        let fits = |server: &&Server| {
            let text = format!("{} {} {}", server.server, server.upstream, server.status);
            let text = text.to_lowercase();
            words.split_whitespace().all(|word| text.contains(word))
        };
        let mut servers: Vec<&Server> = figures.servers.iter().filter(fits).collect();
        if let Some((column, reversed)) = self.sort {
            let down = column.is_figure() != reversed;
            // Equal ones stay as configured, both ways.
            servers.sort_by(|a, b| match down {
                true => column.compare(b, a),
                false => column.compare(a, b),
            });
        }
        servers
    }

    /// Does what a key is for.
    pub fn press(&mut self, key: KeyEvent) -> Wish {
        if key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL) {
            return Wish::Quit;
        }
        if self.typing {
            self.type_key(key.code);
            return Wish::Stay;
        }
        match key.code {
            KeyCode::Char('q') => return Wish::Quit,
            KeyCode::Char('/') => self.typing = true,
            KeyCode::Char('s') => {
                let at =
                    self.sort.and_then(|(sort, _)| Column::ALL.iter().position(|c| *c == sort));
                let next = Column::ALL.get(at.map_or(0, |at| at + 1));
                self.sort = next.map(|column| (*column, false));
            }
            KeyCode::Char('r') => {
                if let Some((_, reversed)) = &mut self.sort {
                    *reversed = !*reversed;
                }
            }
            KeyCode::Char(digit @ '1'..='8') => {
                let column = Column::ALL[digit as usize - '1' as usize];
                let again = self.sort.filter(|(sort, _)| *sort == column);
                self.sort = Some((column, again.is_some_and(|(_, reversed)| !reversed)));
            }
            KeyCode::Char('0') => self.sort = None,
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Down | KeyCode::Char('j') => self.scroll(1),
            KeyCode::Up | KeyCode::Char('k') => self.scroll(-1),
            KeyCode::PageDown | KeyCode::Char(' ') => self.scroll(self.page as isize),
            KeyCode::PageUp => self.scroll(-(self.page as isize)),
            KeyCode::Home => self.offset = 0,
            KeyCode::End => self.scroll(isize::MAX / 2),
            _ => {}
        }
        Wish::Stay
    }

    fn type_key(&mut self, key: KeyCode) {
        match key {
            KeyCode::Enter => self.typing = false,
            KeyCode::Esc => {
                self.typing = false;
                self.filter.clear();
            }
            KeyCode::Backspace => drop(self.filter.pop()),
            KeyCode::Char(c) if self.filter.len() < 60 => self.filter.push(c),
            _ => {}
        }
        self.offset = 0;
    }

    fn scroll(&mut self, by: isize) {
        let last = self.servers().len().saturating_sub(self.page);
        self.offset = self.offset.saturating_add_signed(by).min(last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        let server = |name: &str, requests_per_s, p99_us| Server {
            server: name.to_owned(),
            upstream: "app".to_owned(),
            requests_per_s,
            p99_us,
            ..Server::default()
        };
        let servers =
            vec![server("b", 1.0, None), server("a", 5.0, Some(9)), server("c", 3.0, None)];
        let mut state = State::new(String::new());
        state.take(Figures { servers, ..Figures::default() });
        state
    }

    fn press(state: &mut State, keys: &str) {
        for key in keys.chars() {
            let code = match key {
                '\n' => KeyCode::Enter,
                '\x1b' => KeyCode::Esc,
                other => KeyCode::Char(other),
            };
            assert_eq!(state.press(KeyEvent::from(code)), Wish::Stay);
        }
    }

    fn names(state: &State) -> String {
        state.servers().iter().map(|server| server.server.as_str()).collect()
    }

    #[test]
    fn keys_sort() {
        let mut state = state();
        assert_eq!(names(&state), "bac");
        for (keys, order) in
            [("1", "abc"), ("1", "cba"), ("4", "acb"), ("r", "bca"), ("8", "abc"), ("0", "bac")]
        {
            press(&mut state, keys);
            assert_eq!(names(&state), order, "{keys}");
        }
        for order in ["abc", "bac"] {
            press(&mut state, "s");
            assert_eq!(names(&state), order);
        }
        press(&mut state, "sssssss");
        assert_eq!(state.sort, None);
    }

    #[test]
    fn a_filter_is_typed_and_no_key_of_it_does_anything_else() {
        let mut state = state();
        press(&mut state, "/app q\x1b");
        assert_eq!((names(&state).len(), state.typing), (3, false));
        press(&mut state, "/APP c\n");
        assert_eq!(names(&state), "c");
        press(&mut state, "\x1b");
        assert_eq!(names(&state).len(), 3);
        assert_eq!(state.press(KeyEvent::from(KeyCode::Char('q'))), Wish::Quit);
        press(&mut state, "/");
        let control = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(state.press(control), Wish::Quit);
    }

    #[test]
    fn scrolling_stays_within_the_list() {
        let mut state = state();
        state.page = 2;
        press(&mut state, "jjjj");
        assert_eq!(state.offset, 1);
        press(&mut state, "kkk");
        assert_eq!(state.offset, 0);
    }
}
