//! Whatever the proxy says, whatever is pressed, and however small the terminal is: it is drawn.

use proptest::collection::vec;
use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde_json::{Value, json};

use super::figures::Figures;
use super::screen;
use super::state::{State, Wish};

/// Numbers at the edges among others, and what is no number at all.
fn figure() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        any::<i64>().prop_map(Value::from),
        Just(json!(0)),
        Just(json!(u64::MAX)),
        Just(Value::Null),
        Just(json!("text")),
    ]
}

/// With characters that take two columns, none, or are made of several.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["\\PC{0,60}", "[a-z]{0,20}", Just("漢字👩‍👩‍👧e\u{301}\u{200b}".repeat(20))]
}

fn live() -> impl Strategy<Value = Value> {
    let phase = vec(figure(), 6).prop_map(|of| {
        json!({ "count": of[0], "p50": of[1], "p90": of[2], "p99": of[3], "p999": of[4],
                "max": of[5] })
    });
    let shard = vec(figure(), 6).prop_map(|of| {
        json!({ "shard": of[0], "cpu": of[1], "connections": of[2], "active": of[3],
                "idle": of[4], "requests_per_s": of[5] })
    });
    let server = (vec(text(), 3), vec(figure(), 5)).prop_map(|(texts, of)| {
        json!({ "upstream": texts[0], "server": texts[1], "status": texts[2], "active": of[0],
                "requests_per_s": of[1], "share": of[2], "failures": of[3], "p99_us": of[4] })
    });
    let error = (figure(), text(), text())
        .prop_map(|(at, level, text)| json!({ "at": at, "level": level, "text": text }));
    let lists = (vec(phase, 2), vec(shard, 0..40), vec(server, 0..60), vec(error, 0..30));
    (lists, vec(figure(), 6), text()).prop_map(|((phases, shards, servers, errors), of, text)| {
        json!({
            "at": of[0], "version": text, "state": text, "requests_per_s": of[1],
            "bytes_in_per_s": of[2], "bytes_out_per_s": of[3],
            "status_per_s": { "4xx": of[4], "5xx": of[5] },
            "phases": { "connect": phases[0], "total": phases[1] },
            "shards": shards, "servers": servers, "errors": errors,
        })
    })
}

fn key() -> impl Strategy<Value = KeyEvent> {
    let code = prop_oneof![
        any::<char>().prop_map(KeyCode::Char),
        "[0-9a-z/<> ]".prop_map(|one| KeyCode::Char(one.chars().next().unwrap_or('/'))),
        prop::sample::select(vec![
            KeyCode::Up,
            KeyCode::Down,
            KeyCode::Left,
            KeyCode::Right,
            KeyCode::PageUp,
            KeyCode::PageDown,
            KeyCode::Home,
            KeyCode::End,
            KeyCode::Enter,
            KeyCode::Backspace,
            KeyCode::Tab,
        ]),
    ];
    code.prop_map(|code| KeyEvent::new(code, KeyModifiers::NONE))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn all_of_it_is_drawn_on_every_terminal(
        looks in vec((live(), vec(key(), 0..8), 1_u16..220, 1_u16..70), 1..4),
        lost in proptest::option::of(text()),
    ) {
        let mut state = State::new("127.0.0.1:9900".to_owned());
        for (live, keys, width, height) in looks {
            state.take(Figures::read(&live));
            state.lost.clone_from(&lost);
            let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
            terminal.draw(|frame| screen::draw(&mut state, frame)).expect("it is drawn");
            for key in keys {
                if state.press(key) == Wish::Quit {
                    return Ok(());
                }
                terminal.draw(|frame| screen::draw(&mut state, frame)).expect("it is drawn");
            }
            let text = screen::as_text(&state);
            let speaks_to_the_terminal = text.lines().any(|line| line.contains(char::is_control));
            prop_assert!(!speaks_to_the_terminal);
        }
    }
}
