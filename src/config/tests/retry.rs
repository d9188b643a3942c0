//! What upstreams and routes may say of trying again.

use super::edge::{check, complaints, upstream};
use super::*;
use crate::plan::{RetryOn, RetryPlan};

fn plans(text: &str) -> Vec<RetryPlan> {
    accept(text).plan.routes.iter().map(|route| route.retry.clone()).collect()
}

#[test]
fn a_route_has_what_it_sets_and_what_its_upstream_does() {
    let text = upstream(
        "[upstream.retry]\ntries = 5\non = [502, 503, \"timeout\"]\nbuffer = \"1MiB\"\n\
         timeout = \"90s\"\nbudget_min = 3\n\
         [[route]]\npath = \"/own\"\nupstream = \"app\"\n\
         retry = { tries = 2, stale = false, unanswered = false, on = [\"closed\"], \
         timeout = \"none\", non_idempotent = true }\n\
         [[route]]\npath = \"/off\"\nupstream = \"app\"\nretry = { on = [] }\n\
         [[route]]\npath = \"/fixed\"\nrespond = { status = 200 }",
    );
    let on = RetryOn { statuses: vec![502, 503], timeout: true, closed: false };
    let upstreams = RetryPlan {
        tries: 5,
        stale: true,
        unanswered: true,
        on,
        timeout: Some(Duration::from_secs(90)),
        buffer: 1 << 20,
        non_idempotent: false,
    };
    let own = RetryPlan {
        tries: 2,
        stale: false,
        unanswered: false,
        on: RetryOn { closed: true, ..RetryOn::default() },
        timeout: None,
        buffer: 1 << 20,
        non_idempotent: true,
    };
    let off = RetryPlan { on: RetryOn::default(), ..upstreams.clone() };
    assert_eq!(plans(&text), [upstreams, own, off, RetryPlan::default()]);
    assert_eq!(accept(&text).plan.upstreams[0].budget.min, 3);
}

#[test]
fn nothing_is_listed_by_default() {
    let [plan] = &plans(&upstream(""))[..] else { panic!("one route") };
    assert_eq!(*plan, RetryPlan::default());
    assert!(plan.on.is_empty() && !plan.non_idempotent);
}

#[test]
fn what_is_wrong_is_explained() {
    check(&[
        ("retry = { on = 503 }", &[]),
        (
            "retry = { on = [200, 503, 600, \"503\", \"timout\", 503, true], buffer = \"1GiB\" }",
            &[
                "8:17: status 200 is no failure; write a status from 400 to 599, such as 503",
                "8:27: `on` is 600; write a number from 200 to 599",
                "8:32: \"503\" is a string; write 503",
                "8:39: unknown `on` \"timout\"; did you mean `timeout`?",
                "8:49: 503 is listed twice; remove one",
                "8:54: an item of `on` is true or false; write a string in quotes",
                "8:70: `buffer` is \"1GiB\"; write a size from 0B to 16MiB",
            ],
        ),
        (
            "retry = { on = [503], tries = 1 }",
            &["8:16: `on` has no effect with tries = 1; raise `tries`, or remove `on`"],
        ),
        (
            "retry = { buffer = \"1MiB\", non_idempotent = true }",
            &[
                "8:20: `buffer` has no effect without `on`; add such as on = [502, 503], or \
                 remove it",
                "8:45: `non_idempotent` has no effect without `on`; add such as on = [502, 503], \
                 or remove it",
            ],
        ),
        (
            "retry = { on = [\"timeout\"], timeout = \"20s\" }",
            &["8:39: `timeout` of `retry` is \"20s\", but a server has 1m to answer, so that no \
               time is left when it does not; write more than \"1m\", or lower `response` in \
               `timeouts`"],
        ),
        (
            "retry = { on = [\"timeout\"], timeout = \"20s\" }\ntimeouts = { response = \"5s\" }",
            &[],
        ),
        ("retry = { on = [503], timeout = \"20s\" }", &[]),
    ]);
}

#[test]
fn what_routes_say_is_looked_at_too() {
    let route = "[[route]]\npath = \"/own\"\nupstream = \"app\"\n";
    for (settings, retry, expected) in [
        // A route makes use of what would have no effect otherwise.
        ("retry = { buffer = \"1KiB\" }", "{ on = [503] }", vec![]),
        (
            "retry = { tries = 1, stale = false, budget_min = 1 }\nlimits = { max_retries = 3 }",
            "{ tries = 2 }",
            vec![],
        ),
        (
            "",
            "{ budget_min = 3 }",
            vec![
                "12:11: `budget_min` cannot be set in `retry` of a route; set it in `retry` of the \
             upstream",
            ],
        ),
        (
            "",
            "{ non_idempotent = true }",
            vec![
                "12:28: `non_idempotent` has no effect without `on`; add such as on = [502, 503], \
             or remove it",
            ],
        ),
        (
            "retry = { tries = 1 }",
            "{ on = [503] }",
            vec!["12:16: `on` has no effect with tries = 1; raise `tries`, or remove `on`"],
        ),
    ] {
        let text = upstream(&format!("{settings}\n{route}retry = {retry}"));
        assert_eq!(complaints(&text), expected, "\n{text}");
    }
    let fixed =
        upstream("[[route]]\npath = \"/fixed\"\nrespond = { status = 200 }\nretry = { tries = 2 }");
    assert_eq!(
        complaints(&fixed),
        ["11:19: `retry` has no effect: the route has no upstream; remove it"]
    );
}
