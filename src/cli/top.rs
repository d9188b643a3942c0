//! `corelane top`: what a running proxy does, live in a terminal.

mod feed;
mod figures;
mod layout;
#[cfg(test)]
mod properties;
mod screen;
mod state;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::mpsc;

use ratatui::DefaultTerminal;

use self::feed::{Message, News};
use self::figures::Figures;
use self::state::{State, Wish};
use super::ctl::client::{Target, ask};
use super::ctl::{NOT_ASKED, REFUSED, Whom, complain};

/// Options of `corelane top`.
#[derive(clap::Args)]
pub struct Options {
    #[command(flatten)]
    whom: Whom,
    /// Print once what goes on, and end; so does a terminal that cannot be drawn on.
    #[arg(long)]
    once: bool,
}

/// Watches until `q`, a signal, or the end of the proxy.
pub fn top(options: &Options) -> ExitCode {
    let target = match options.whom.target(false) {
        Ok(target) => target,
        Err(sentence) => return failed(NOT_ASKED, &sentence),
    };
    if options.once || !can_draw() {
        return once(&target);
    }
    match watch(target) {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, sentence)) => failed(code, &sentence),
    }
}

fn failed(code: u8, sentence: &str) -> ExitCode {
    complain(sentence);
    ExitCode::from(code)
}

fn can_draw() -> bool {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb" || term.is_empty());
    !dumb && io::stdout().is_terminal() && io::stdin().is_terminal()
}

fn once(target: &Target) -> ExitCode {
    match ask(target, "GET", "/v1/live?once", None) {
        Err(sentence) => failed(NOT_ASKED, &sentence),
        Ok(answer) if answer.is_ok() => {
            let text = screen::as_text(&State::with(Figures::read(&answer.value)));
            // A closed reader is no reason to fail.
            let _ = writeln!(io::stdout(), "{text}");
            ExitCode::SUCCESS
        }
        Ok(answer) => {
            let sentence = answer.value["error"].as_str().unwrap_or("it was refused");
            failed(REFUSED, sentence)
        }
    }
}

/// Gives the terminal back, however it ends; a panic does so before it prints its message.
struct Drawing(DefaultTerminal);

impl Drawing {
    fn begin() -> io::Result<Drawing> {
        ratatui::try_init().map(Drawing)
    }
}

impl Drop for Drawing {
    fn drop(&mut self) {
        // Where the terminal is gone there is nothing to give back.
        let _ = ratatui::try_restore();
    }
}

/// Exit code and sentence of an end that nobody asked for.
type End = (u8, String);

fn watch(target: Target) -> Result<(), End> {
    let cannot = |error: io::Error| (NOT_ASKED, format!("cannot draw here: {error}; use --once"));
    let shown = target.to_string();
    let (sender, messages) = mpsc::channel();
    // From here on a signal is a message: the terminal must be given back first.
    feed::signals(&sender).map_err(cannot)?;
    let mut drawing = Drawing::begin().map_err(cannot)?;
    let newest = feed::figures(target, &sender).map_err(cannot)?;
    feed::keys(&sender).map_err(cannot)?;
    let mut state = State::new(shown);
    loop {
        drawing.0.draw(|frame| screen::draw(&mut state, frame)).map_err(cannot)?;
        // The sender above stays, so there is always a next.
        let Ok(message) = messages.recv() else { return Ok(()) };
        match message {
            Message::News => match newest.take() {
                Some(News::Figures(figures)) => state.take(*figures),
                Some(News::Lost(why)) => state.lost = Some(why),
                Some(News::Gone(code, why)) => return Err((code, why)),
                None => {}
            },
            Message::Key(key) => {
                if state.press(key) == Wish::Quit {
                    return Ok(());
                }
            }
            Message::Resized => {}
            Message::Quit => return Ok(()),
        }
    }
}
