//! Draws what is known. States are words, so that colour is not what tells them apart.

use std::borrow::Cow;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Alignment, Constraint, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row, Sparkline, Table, Widget};

use super::figures::{Figures, Server, bytes, clock, rate, time};
use super::layout::{HEIGHT_MIN, Parts, WIDTH_MIN};
use super::state::{Column, State};

const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
const DIM: Style = Style::new().add_modifier(Modifier::DIM);
const HEADING: Style = Style::new().add_modifier(Modifier::REVERSED);
/// Widest table of servers, and width of a text that nobody draws.
const TEXT_WIDTH: u16 = 110;
/// Widths of the columns of that table but the first, a server's name, which has what is left.
const OTHERS: [u16; 7] = [12, 8, 7, 6, 7, 7, 6];
/// Fewer columns tell nothing of an address.
const TARGET_MIN: usize = 12;

/// Draws all of it.
pub fn draw(state: &mut State, frame: &mut Frame<'_>) {
    let screen = frame.area();
    let buffer = frame.buffer_mut();
    if screen.width < WIDTH_MIN || screen.height < HEIGHT_MIN {
        let text = format!("{WIDTH_MIN}x{HEIGHT_MIN} is the smallest that this fits on; q quits");
        return Paragraph::new(text).render(screen, buffer);
    }
    let Some(figures) = &state.figures else {
        let why = state.lost.as_deref().unwrap_or("waiting for the first figures ...");
        return Paragraph::new(format!("{}: {why}", state.target)).render(screen, buffer);
    };
    let parts = Parts::of(screen, figures.shards.len(), figures.errors.len());
    // One line of it is the heading.
    state.page = usize::from(parts.servers.height.saturating_sub(1)).max(1);
    let last = state.servers().len().saturating_sub(state.page);
    state.offset = state.offset.min(last);
    all(state, figures, &parts, buffer);
    let from = state.history.len().saturating_sub(usize::from(parts.line.width));
    let most = state.history.iter().skip(from).max().copied().unwrap_or_default();
    let title = format!("REQUESTS A SECOND, {} AT MOST", rate(most as f64));
    let below = below_heading(parts.line, &title, buffer);
    Sparkline::default()
        .data(state.history.iter().skip(from))
        .style(Style::new().fg(Color::Cyan))
        .render(below, buffer);
    keys(state, parts.keys, buffer);
}

/// The same as a text, with every server, without colours.
pub fn as_text(state: &State) -> String {
    let Some(figures) = &state.figures else { return String::new() };
    let (shards, errors) = (figures.shards.len(), figures.errors.len());
    let (screen, parts) = Parts::whole(TEXT_WIDTH, shards, figures.servers.len(), errors);
    let mut buffer = Buffer::empty(screen);
    all(state, figures, &parts, &mut buffer);
    let line = |y| {
        let cells = (0..screen.width).filter_map(|x| buffer.cell((x, y)));
        let text: String = cells.map(ratatui::buffer::Cell::symbol).collect();
        text.trim_end().to_owned()
    };
    (0..screen.height).map(line).collect::<Vec<_>>().join("\n")
}

/// What a text has too.
fn all(state: &State, figures: &Figures, parts: &Parts, buffer: &mut Buffer) {
    header(state, figures, parts.header, buffer);
    phases(figures, parts.phases, buffer);
    shards(figures, parts.shards, buffer);
    servers(state, parts.servers, buffer);
    errors(figures, parts.errors, buffer);
}

/// A heading over the whole width; gives what is below it.
fn below_heading(area: Rect, title: &str, buffer: &mut Buffer) -> Rect {
    let heading = Rect { height: area.height.min(1), ..area };
    Paragraph::new(title).style(HEADING).render(heading, buffer);
    Rect { y: area.y + heading.height, height: area.height - heading.height, ..area }
}

fn header(state: &State, figures: &Figures, area: Rect, buffer: &mut Buffer) {
    let [first_line, second_line] = [0, 1].map(|row| Rect {
        y: area.y + row.min(area.height.saturating_sub(1)),
        height: area.height.min(1),
        ..area
    });
    let right = match &state.lost {
        Some(_) => Line::default(),
        None => Line::from(format!("  {} UTC", clock(figures.at))).alignment(Alignment::Right),
    };
    let room = usize::from(area.width).saturating_sub(right.width());
    Line::from(about(state, figures, room)).render(first_line, buffer);
    right.render(first_line, buffer);
    Line::from(glance(figures, usize::from(area.width))).render(second_line, buffer);
}

/// What is looked at, and how it is, on so many columns.
fn about<'a>(state: &'a State, figures: &'a Figures, room: usize) -> Vec<Span<'a>> {
    let reload = match figures.reload_ok {
        Some(true) => format!("  configuration {}", figures.generation),
        Some(false) => "  last reload REFUSED".to_owned(),
        None => String::new(),
    };
    let mut spans = vec![
        Span::styled("corelane ", BOLD),
        figures.version.as_str().into(),
        format!("  {}", figures.state).into(),
        reload.into(),
    ];
    if let Some(why) = &state.lost {
        spans.push(Span::styled(format!("  CONNECTION LOST: {why}"), BOLD.fg(Color::Red)));
    }
    if !state.target.is_empty() {
        let taken: usize = spans.iter().map(Span::width).sum();
        let target = shortened(&state.target, room.saturating_sub(taken + 2).max(TARGET_MIN));
        spans.insert(2, format!("  {target}").into());
    }
    spans
}

/// The figures of all of it: as many as so many columns hold, what matters most first.
fn glance(figures: &Figures, room: usize) -> Vec<Span<'static>> {
    let total = figures.total();
    let [of_clients, of_servers] = figures.errors_per_s;
    let rest = [
        ("p50", total.map(|total| time(total.times[0]))),
        ("p99", total.map(|total| time(total.times[2]))),
        ("5xx/s", of_servers.map(rate)),
        ("clients", Some(figures.connections().to_string())),
        ("out/s", figures.bytes_out_per_s.map(bytes)),
        ("4xx/s", of_clients.map(rate)),
        ("in/s", figures.bytes_in_per_s.map(bytes)),
        ("aborted/s", figures.aborted_per_s.map(rate)),
    ];
    let mut spans = vec![Span::styled(format!("{} req/s", rate(figures.requests_per_s)), BOLD)];
    let mut taken = spans[0].width();
    for (name, value) in rest {
        let Some(value) = value else { continue };
        let span = Span::from(format!("  {name} {value}"));
        taken += span.width();
        // Nothing behind it either, or what is there would change from one second to the next.
        if taken > room {
            break;
        }
        spans.push(span);
    }
    spans
}

/// A name on so many columns. What tells it from others is mostly at its ends.
fn shortened(text: &str, room: usize) -> Cow<'_, str> {
    let width = |text: &str| Span::from(text).width();
    if width(text) <= room {
        return Cow::Borrowed(text);
    }
    let left = room.saturating_sub(2);
    let fits = |part: &str, room: usize| width(part) <= room;
    let heads = text.char_indices().map(|(at, _)| &text[..at]);
    let head = heads.take_while(|head| fits(head, left / 2)).last().unwrap_or_default();
    let tails = text.char_indices().rev().map(|(at, _)| &text[at..]);
    let tail = tails.take_while(|tail| fits(tail, left - left / 2)).last().unwrap_or_default();
    Cow::Owned(format!("{head}..{tail}"))
}

fn right(text: String) -> Cell<'static> {
    Cell::from(Line::from(text).alignment(Alignment::Right))
}

fn phases(figures: &Figures, area: Rect, buffer: &mut Buffer) {
    let heads = ["COUNT", "P50", "P90", "P99", "P99.9", "MAX"];
    let heads = heads.into_iter().map(|head| right(head.to_owned()));
    let heading = Row::new(std::iter::once(Cell::from("PHASE (10 S)")).chain(heads));
    let rows = figures.phases.iter().map(|phase| {
        let shown = |us| if phase.count > 0 { time(us) } else { "-".to_owned() };
        let times = phase.times.into_iter().map(|us| right(shown(us)));
        let first = [Cell::from(phase.name), right(phase.count.to_string())];
        let style = if phase.name == "total" { BOLD } else { Style::new() };
        Row::new(first.into_iter().chain(times)).style(style)
    });
    let widths = [16, 9, 9, 9, 9, 9, 9].map(Constraint::Length);
    Widget::render(Table::new(rows, widths).header(heading.style(HEADING)), area, buffer);
}

fn shards(figures: &Figures, area: Rect, buffer: &mut Buffer) {
    let heads = ["CPU", "REQ/S", "CLIENTS", "ACTIVE", "IDLE"].map(|head| right(head.to_owned()));
    let heading = Row::new(std::iter::once(Cell::from("SHARD")).chain(heads));
    let rows = figures.shards.iter().map(|shard| {
        let cells = [shard.number, shard.cpu].map(|number| number.to_string());
        let counts = [shard.connections, shard.active, shard.idle];
        let [number, cpu] = cells;
        let counts = counts.into_iter().map(|count| right(count.to_string()));
        let first = [Cell::from(number), right(cpu), right(rate(shard.requests_per_s))];
        Row::new(first.into_iter().chain(counts))
    });
    let widths = [6, 5, 9, 9, 9, 9].map(Constraint::Length);
    Widget::render(Table::new(rows, widths).header(heading.style(HEADING)), area, buffer);
}

fn servers(state: &State, area: Rect, buffer: &mut Buffer) {
    let heads = Column::ALL.into_iter().enumerate().map(|(at, column)| {
        let arrow = match state.sort {
            Some((sort, reversed)) if sort == column => {
                if reversed {
                    "-"
                } else {
                    "+"
                }
            }
            _ => "",
        };
        let text = format!("{}{arrow}", column.name());
        if at < 3 { Cell::from(text) } else { right(text) }
    });
    let heading = Row::new(heads).style(HEADING);
    // Wider, and a name would stand far from its figures.
    let area = Rect { width: area.width.min(TEXT_WIDTH), ..area };
    // A column is between two of them.
    let others: u16 = OTHERS.iter().map(|width| width + 1).sum();
    let name = area.width.saturating_sub(others);
    let rows = state.servers().into_iter().skip(state.offset);
    let rows = rows.map(|one| server(one, usize::from(name)));
    let widths = std::iter::once(name).chain(OTHERS).map(Constraint::Length);
    Widget::render(Table::new(rows, widths).header(heading), area, buffer);
}

fn server(server: &Server, width: usize) -> Row<'static> {
    let style = match server.status.as_str() {
        "up" => Style::new(),
        "ejected" | "failing" => Style::new().fg(Color::Red),
        _ => DIM,
    };
    let share = server.share.map_or("-".to_owned(), |share| format!("{:.0}%", share * 100.0));
    Row::new([
        Cell::from(shortened(&server.server, width).into_owned()),
        Cell::from(shortened(&server.upstream, usize::from(OTHERS[0])).into_owned()),
        Cell::from(server.status.clone()),
        right(rate(server.requests_per_s)),
        right(share),
        right(server.active.to_string()),
        right(rate(server.failures as f64)),
        right(server.p99_us.map_or("-".to_owned(), time)),
    ])
    .style(style)
}

fn errors(figures: &Figures, area: Rect, buffer: &mut Buffer) {
    let below = below_heading(area, "WARNINGS AND ERRORS", buffer);
    let lines: Vec<Line<'_>> = match figures.errors.is_empty() {
        true => vec![Line::styled("none since the start", DIM)],
        false => figures.errors.iter().map(error).collect(),
    };
    Paragraph::new(lines).render(below, buffer);
}

fn error(line: &super::figures::Line) -> Line<'_> {
    let colour = if line.level == "error" { Color::Red } else { Color::Yellow };
    Line::from(vec![
        Span::from(format!("{} ", clock(line.at))),
        Span::styled(format!("{:<6}", line.level), Style::new().fg(colour)),
        Span::from(line.text.as_str()),
    ])
}

fn keys(state: &State, area: Rect, buffer: &mut Buffer) {
    let text = match (state.typing, state.filter.is_empty()) {
        (true, _) => format!("filter: {}_   Enter keep  Esc clear", state.filter),
        (false, true) => "q quit  / filter  1-8 s r sort  arrows scroll".to_owned(),
        (false, false) => {
            format!("q quit  Esc show all  only: {}", state.filter)
        }
    };
    let (shown, of) = (state.servers().len(), state.figures.as_ref().map(|f| f.servers.len()));
    let from = (state.offset + 1).min(shown);
    let to = (state.offset + state.page).min(shown);
    let all = of.filter(|all| *all != shown).map(|all| format!(" ({all} in all)"));
    let count = format!("{from}-{to} of {shown} servers{}", all.unwrap_or_default());
    Line::styled(text, DIM).render(area, buffer);
    Line::styled(count, DIM).alignment(Alignment::Right).render(area, buffer);
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use serde_json::json;

    use super::*;

    /// Of a proxy that is busy.
    fn figures(servers: usize) -> Figures {
        let server = |at: usize| {
            json!({ "server": format!("10.0.0.1:{at}"), "upstream": "app", "status": "up",
                    "requests_per_s": at, "share": 0.5, "active": 1, "failures": 0 })
        };
        Figures::read(&json!({
            "version": "1.2.3", "state": "serving", "requests_per_s": 99_246.0,
            "bytes_in_per_s": 1_300_000.0, "bytes_out_per_s": 51_020_000.0,
            "status_per_s": { "2xx": 98_990.0, "4xx": 12.0, "5xx": 243.5, "aborted": 0.0 },
            "client_left_per_s": 0.5,
            "phases": { "total": { "count": 9, "p50": 5210, "p99": 40_700 } },
            "shards": [{ "shard": 0, "cpu": 1, "connections": 20, "requests_per_s": 99_246.0 }],
            "servers": (0..servers).map(server).collect::<Vec<_>>(),
            "errors": [{ "at": 0, "level": "warn", "text": "server taken out" }],
        }))
    }

    fn drawn(state: &mut State, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
        terminal.draw(|frame| draw(state, frame)).expect("a drawing");
        terminal.backend().to_string()
    }

    #[test]
    fn the_smallest_screen_has_all_of_it() {
        let mut state = State::new("unix:/s".to_owned());
        assert!(drawn(&mut state, 80, 24).contains("waiting"));
        state.take(figures(200));
        let text = drawn(&mut state, 80, 24);
        for part in [
            "99246 req/s  p50 5.21ms  p99 40.7ms  5xx/s 244  clients 20  out/s 51.0MB ",
            "REQUESTS A SECOND",
            "first byte",
            "SHARD",
            "10.0.0.1:0",
            "server taken out",
            "q quit",
            "of 200 servers",
        ] {
            assert!(text.contains(part), "{part}:\n{text}");
        }
        assert!(!text.contains("4xx"), "it has no room:\n{text}");
        state.lost = Some("gone".to_owned());
        assert!(drawn(&mut state, 80, 24).contains("CONNECTION LOST: gone"));
        assert!(drawn(&mut state, 60, 10).contains("smallest"));
        let wide = drawn(&mut state, 200, 60);
        assert!(wide.contains("10.0.0.1:30"));
        assert!(wide.contains("4xx/s 12  in/s 1.3MB  aborted/s 0.5"), "{wide}");
    }

    #[test]
    fn names_that_differ_look_different_on_the_smallest_screen() {
        let server = |number: u32| {
            let server = format!("checkout.production.internal:80{number}");
            json!({ "server": server, "upstream": format!("checkout-eu-{number}"), "status": "up" })
        };
        let servers: Vec<_> = (11..15).map(server).collect();
        let target = "unix:/run/corelane/instances/production/admin.sock".to_owned();
        let mut state = State::new(target);
        let live = json!({ "version": "1.2.3", "state": "draining", "servers": servers,
                           "config": { "last_reload": { "ok": false } } });
        state.take(Figures::read(&live));
        let text = drawn(&mut state, 80, 24);
        for number in 11..15 {
            assert!(
                text.contains(&format!("checkout...rnal:80{number} check..eu-{number}")),
                "{text}"
            );
        }
        let first = "unix:/ru..dmin.sock  draining  last reload REFUSED  00:00:00 UTC";
        assert!(text.contains(first), "{text}");
    }

    #[test]
    fn a_name_is_cut_between_its_characters() {
        for (text, room, short) in [
            ("app.internal:3000", 17, "app.internal:3000"),
            ("app.internal:3000", 16, "app.int..al:3000"),
            ("\u{6f22}\u{5b57}\u{6f22}\u{5b57}", 7, "\u{6f22}..\u{5b57}"),
            ("abcdef", 4, "a..f"),
            ("abcdef", 0, ".."),
        ] {
            assert_eq!(shortened(text, room), short, "{text} {room}");
        }
    }

    #[test]
    fn a_text_has_every_server_and_no_escapes() {
        let text = as_text(&State::with(figures(200)));
        assert!(text.contains("10.0.0.1:199") && !text.contains('\u{1b}'), "{text}");
        assert!(text.lines().all(|line| line == line.trim_end()));
    }
}
