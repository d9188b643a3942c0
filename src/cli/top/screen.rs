//! Draws what is known. States are words, so that colour is not what tells them apart.

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
    let mut first = vec![Span::styled("corelane ", BOLD), figures.version.as_str().into()];
    if !state.target.is_empty() {
        first.push(format!("  {}", state.target).into());
    }
    first.push(format!("  {}", figures.state).into());
    let reload = match figures.reload_ok {
        Some(true) => format!("  configuration {}", figures.generation),
        Some(false) => "  last reload REFUSED".to_owned(),
        None => String::new(),
    };
    first.push(reload.into());
    if let Some(why) = &state.lost {
        first.push(Span::styled(format!("  CONNECTION LOST: {why}"), BOLD.fg(Color::Red)));
    }
    let [first_line, second_line] = [0, 1].map(|row| Rect {
        y: area.y + row.min(area.height.saturating_sub(1)),
        height: area.height.min(1),
        ..area
    });
    Line::from(first).render(first_line, buffer);
    if state.lost.is_none() {
        let at = format!("{} UTC", clock(figures.at));
        Line::from(at).alignment(Alignment::Right).render(first_line, buffer);
    }
    let mut second = vec![Span::styled(format!("{} req/s", rate(figures.requests_per_s)), BOLD)];
    let mut add = |name: &str, value: Option<String>| {
        second.extend(value.map(|value| Span::from(format!("  {name} {value}"))));
    };
    add("p50", figures.total().map(|total| time(total.times[0])));
    add("p99", figures.total().map(|total| time(total.times[2])));
    let [of_clients, of_servers] = figures.errors_per_s;
    add("4xx/s", of_clients.map(rate));
    add("5xx/s", of_servers.map(rate));
    add("aborted/s", figures.aborted_per_s.map(rate));
    add("clients", Some(figures.connections().to_string()));
    add("in/s", figures.bytes_in_per_s.map(bytes));
    add("out/s", figures.bytes_out_per_s.map(bytes));
    Line::from(second).render(second_line, buffer);
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
    let rows = state.servers().into_iter().skip(state.offset).map(server);
    let widths = [
        Constraint::Min(20),
        Constraint::Length(12),
        Constraint::Length(8),
        Constraint::Length(7),
        Constraint::Length(6),
        Constraint::Length(7),
        Constraint::Length(7),
        Constraint::Length(6),
    ];
    Widget::render(Table::new(rows, widths).header(heading), area, buffer);
}

fn server(server: &Server) -> Row<'static> {
    let style = match server.status.as_str() {
        "up" => Style::new(),
        "ejected" | "failing" => Style::new().fg(Color::Red),
        _ => DIM,
    };
    let share = server.share.map_or("-".to_owned(), |share| format!("{:.0}%", share * 100.0));
    Row::new([
        Cell::from(server.server.clone()),
        Cell::from(server.upstream.clone()),
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

    fn figures(servers: usize) -> Figures {
        let server = |at: usize| {
            json!({ "server": format!("10.0.0.1:{at}"), "upstream": "app", "status": "up",
                    "requests_per_s": at, "share": 0.5, "active": 1, "failures": 0 })
        };
        Figures::read(&json!({
            "version": "1.2.3", "state": "serving", "requests_per_s": 246.0,
            "phases": { "total": { "count": 9, "p50": 5210, "p99": 40_700 } },
            "shards": [{ "shard": 0, "cpu": 1, "connections": 20, "requests_per_s": 246.0 }],
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
            "246 req/s  p50 5.21ms  p99 40.7ms",
            "clients 20",
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
        state.lost = Some("gone".to_owned());
        assert!(drawn(&mut state, 80, 24).contains("CONNECTION LOST: gone"));
        assert!(drawn(&mut state, 60, 10).contains("smallest"));
        assert!(drawn(&mut state, 200, 60).contains("10.0.0.1:30"));
    }

    #[test]
    fn a_text_has_every_server_and_no_escapes() {
        let text = as_text(&State::with(figures(200)));
        assert!(text.contains("10.0.0.1:199") && !text.contains('\u{1b}'), "{text}");
        assert!(text.lines().all(|line| line == line.trim_end()));
    }
}
