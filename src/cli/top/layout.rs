//! Where the parts of the screen stand, by its size.

use ratatui::layout::Rect;

/// The smallest screen that everything fits on.
pub const WIDTH_MIN: u16 = 80;
/// Likewise.
pub const HEIGHT_MIN: u16 = 24;
/// From here on shards stand beside phases.
const WIDE: u16 = 132;
/// Heading and phases.
const PHASES: u16 = 7;
/// Heading and one server.
const SERVERS_MIN: u16 = 4;

/// The parts, from above. One of no height is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    pub header: Rect,
    pub line: Rect,
    pub phases: Rect,
    pub shards: Rect,
    pub servers: Rect,
    pub errors: Rect,
    pub keys: Rect,
}

impl Parts {
    /// On a screen, for so many shards and lines of errors.
    pub fn of(screen: Rect, shards: usize, errors: usize) -> Parts {
        let wide = screen.width >= WIDE;
        let shards = u16::try_from(shards).unwrap_or(u16::MAX);
        let errors = u16::try_from(errors).unwrap_or(u16::MAX);
        let mut parts = Parts::default();
        let mut left = screen;
        parts.header = from_above(&mut left, 2);
        parts.keys = from_below(&mut left, 1);
        let spare = left.height.saturating_sub(PHASES + SERVERS_MIN);
        // What is left for the rest: two lines each at least, a third at most.
        let share = |wanted: u16| wanted.min((spare / 3).max(2));
        parts.line = from_above(&mut left, share(5).max(3));
        let phases = from_above(&mut left, PHASES);
        if wide {
            let (one, other) = beside(phases, 78);
            (parts.phases, parts.shards) = (one, other);
        } else {
            parts.phases = phases;
            parts.shards = from_above(&mut left, share(shards.saturating_add(1)));
        }
        parts.errors = from_below(&mut left, share(errors.max(1).saturating_add(1)));
        parts.servers = left;
        parts
    }

    /// One below the other, as high as what they hold, without the line of rates and keys.
    pub fn whole(width: u16, shards: usize, servers: usize, errors: usize) -> (Rect, Parts) {
        let rows = |count: usize| u16::try_from(count).unwrap_or(u16::MAX).min(10_000);
        let heights = [2, PHASES, rows(shards) + 1, rows(servers) + 1, rows(errors.max(1)) + 1];
        let height: u16 = heights.iter().sum::<u16>() + 4;
        let screen = Rect::new(0, 0, width, height);
        let mut left = screen;
        let [header, phases, shards, servers, errors] = heights.map(|height| {
            let part = from_above(&mut left, height);
            from_above(&mut left, 1);
            part
        });
        (screen, Parts { header, phases, shards, servers, errors, ..Parts::default() })
    }
}

fn from_above(left: &mut Rect, height: u16) -> Rect {
    let height = height.min(left.height);
    let part = Rect { height, ..*left };
    *left = Rect { y: left.y + height, height: left.height - height, ..*left };
    part
}

fn from_below(left: &mut Rect, height: u16) -> Rect {
    let height = height.min(left.height);
    left.height -= height;
    Rect { y: left.y + left.height, height, ..*left }
}

fn beside(area: Rect, width: u16) -> (Rect, Rect) {
    let width = width.min(area.width);
    let other = Rect { x: area.x + width + 2, width: area.width.saturating_sub(width + 2), ..area };
    (Rect { width, ..area }, other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_parts_are_on_the_smallest_screen_and_none_covers_another() {
        for (width, height) in [(80, 24), (80, 50), (200, 24), (300, 100)] {
            for (shards, errors) in [(1, 0), (2, 50), (64, 50)] {
                let screen = Rect::new(0, 0, width, height);
                let parts = Parts::of(screen, shards, errors);
                let Parts { header, line, phases, shards, servers, errors, keys } = parts;
                let all = [header, line, phases, shards, servers, errors, keys];
                for (at, one) in all.iter().enumerate() {
                    assert!(one.height > 0 && one.width > 0, "{width}x{height}: {parts:?}");
                    assert_eq!(screen.intersection(*one), *one, "{parts:?}");
                    assert!(all[at + 1..].iter().all(|other| !one.intersects(*other)), "{parts:?}");
                }
                assert!(servers.height >= 3, "{width}x{height}: {parts:?}");
            }
        }
    }

    #[test]
    fn a_tiny_screen_is_no_reason_to_panic() {
        for (width, height) in [(0, 0), (1, 1), (10, 3), (79, 12)] {
            let screen = Rect::new(0, 0, width, height);
            let parts = Parts::of(screen, 4, 4);
            assert_eq!(screen.intersection(parts.servers).area(), parts.servers.area());
        }
    }
}
