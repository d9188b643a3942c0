//! `[access_log]`, `[log]` and `[tracing]`, accepted and refused.

use std::path::Path;

use super::refused::check_parts;
use super::{LISTENER, ROUTE, UPSTREAM, accept, machine};
use crate::config::from_text;
use crate::plan::{AccessLogPlan, Created, LogFormat, LogTarget, Sample};

fn with(tables: &str) -> String {
    format!("{tables}\n{LISTENER}{UPSTREAM}{ROUTE}")
}

fn accepted(table: &str) -> AccessLogPlan {
    let plan = accept(&with(&format!("[access_log]\n{table}"))).plan;
    AccessLogPlan::clone(&plan.access_log.expect("a log"))
}

#[test]
fn there_is_none_unless_asked_for() {
    let loaded = accept(&with(""));
    assert_eq!((loaded.plan.access_log, loaded.plan.tracing.create), (None, None));
    assert!(loaded.plan.routes.iter().all(|route| route.access_log == [0]));
}

#[test]
fn what_is_left_out_is_as_usual() {
    let plan = accepted("to = \"/var/log/a.log\"");
    let expected = AccessLogPlan {
        format: LogFormat::combined(),
        to: LogTarget::File("/var/log/a.log".into()),
        more: Vec::new(),
        sample: Sample::ALL,
        buffer: 64 << 10,
    };
    assert_eq!(plan, expected);
    let plan = accepted("to = \"syslog\"\nsample = \"0.5%\"\nbuffer = \"4KiB\"\nformat = \"json\"");
    let to = LogTarget::Syslog("/dev/log".into());
    let (sample, format) = (Sample::millionths(5_000), LogFormat::json());
    assert_eq!(plan, AccessLogPlan { format, to, more: Vec::new(), sample, buffer: 4096 });
    assert_eq!(accepted("to = \"stdout\"").to, LogTarget::Stdout);
    assert_eq!(accepted("to = \"syslog:unix:/s\"").to, LogTarget::Syslog("/s".into()));
    assert_eq!(accepted("to = \"stdout\"\nsample = \"1 in 3\"").sample, Sample::one_in(3));
}

#[test]
fn a_file_is_beside_the_configuration() {
    let text = with("[access_log]\nto = \"logs/a.log\"");
    let loaded = from_text(&text, "/etc/corelane/c.toml", &machine()).expect("accepted");
    let to = &loaded.plan.access_log.expect("a log").to;
    assert_eq!(*to, LogTarget::File(Path::new("/etc/corelane/logs/a.log").into()));
}

#[test]
fn what_is_wrong_with_the_access_log_is_named() {
    check_parts(&[
        (
            "[access_log]",
            &["1:1: [access_log] has no `to`; add to = \"/var/log/corelane/access.log\""],
        ),
        (
            "[access_log]\nto = \"stdot\"",
            &["2:6: `to` is \"stdot\"; did you mean `stdout`? For a file of that name write \
                 \"./stdot\""],
        ),
        (
            "[access_log]\nto = \"syslog:10.0.0.1:514\"",
            &["2:6: `to` is \"syslog:10.0.0.1:514\": only a local socket is known; write \
                 \"syslog:unix:/dev/log\"; a local daemon can pass lines on"],
        ),
        (
            "[access_log]\nto = \"a.log\"\nformat = \"combine\"",
            &["3:10: `format` is \"combine\": it names no variable; did you mean \"combined\"?"],
        ),
        (
            "[access_log]\nto = \"a.log\"\nformat = \"$remote_adr $status\"",
            &["3:10: `format` is \"$remote_adr $status\": there is no variable `$remote_adr`; \
                 did you mean `remote_addr`?"],
        ),
        (
            "[access_log]\nto = \"a.log\"\nsample = \"101%\"\nbuffer = \"1KiB\"",
            &[
                "3:10: `sample` is \"101%\"; write a share from \"0%\" to \"100%\", with four \
                 decimals at most, or \"1 in 20\"",
                "4:10: `buffer` is \"1KiB\"; write a size from 4KiB to 16MiB",
            ],
        ),
        (
            "[access_log]\nto = \"a.log\"\nformat = \"json\"\nescape = \"json\"",
            &["4:10: `escape` has no effect on the format \"json\"; remove it, or write \
                 a `format` of your own"],
        ),
        (
            "[access_log]\nto = \"a.log\"\nescape = \"json\"",
            &["3:10: `escape` has no effect without a `format`; remove it, or write a `format` \
                 of your own"],
        ),
        (
            "[access_log]\nto = \"a.log\"\nformt = \"json\"",
            &["3:1: unknown key `formt` in [access_log]; did you mean `format`?"],
        ),
    ]);
}

#[test]
fn a_route_without_a_log_to_be_left_out_of() {
    let loaded = accept(&format!("{LISTENER}{UPSTREAM}{ROUTE}access_log = false\n"));
    assert!(loaded.plan.routes[0].access_log.is_empty());
    assert_eq!(loaded.warnings.len(), 1);
    assert_eq!(loaded.warnings[0].what, "`access_log` has no effect: there is none");
    let log = "[access_log]\nto = \"a.log\"\n";
    let loaded = accept(&format!("{log}{LISTENER}{UPSTREAM}{ROUTE}access_log = false\n"));
    assert_eq!(loaded.warnings, []);
}

#[test]
fn routes_say_which_logs_they_are_in() {
    let log = "[access_log]\nto = \"a.log\"\nmore = { shop = \"b.log\" }\n";
    let plan = |said: &str| {
        let text = format!("{log}{LISTENER}{UPSTREAM}{ROUTE}access_log = {said}\n");
        accept(&text).plan.routes[0].access_log.clone()
    };
    assert_eq!(plan("\"shop\""), [1]);
    assert_eq!(plan("[\"main\", \"shop\"]"), [0, 1]);
    assert_eq!(plan("true"), [0]);
    check_parts(&[
        (
            "[access_log]\nto = \"a.log\"\nmore = { main = \"b.log\" }",
            &["3:10: `main` is what `to` says; choose another name"],
        ),
        (
            "[access_log]\nto = \"a.log\"\n[[route]]\npath = \"/x\"\nupstream = \"app\"\n\
             access_log = \"shp\"",
            &["6:14: there is no access log `shp`; name it in `more` of [access_log], or write \
               \"main\""],
        ),
    ]);
}

#[test]
fn levels_of_modules() {
    let text = "[log]\nlevel = \"warn\"\nlevels = { upstream = \"debug\", \"control::health\" = \
                \"trace\" }";
    let log = accept(&with(text)).log;
    assert_eq!(log.level, "warn");
    let mut levels = log.levels;
    levels.sort_unstable();
    assert_eq!(levels, [("control::health", "trace"), ("upstream", "debug")]);
    check_parts(&[
        (
            "[log]\nlevels = { \"control::healt\" = \"debug\" }",
            &["2:12: there is no module `control::healt`; did you mean `control::health`?"],
        ),
        (
            "[log]\nlevels = { upstream = \"loud\" }",
            &["2:23: unknown `upstream` \"loud\"; it may be `error`, `warn`, `info`, `debug`, \
                 `trace`"],
        ),
    ]);
}

#[test]
fn traces() {
    let create = |text: &str| accept(&with(text)).plan.tracing.create;
    assert_eq!(create("[tracing]"), None);
    assert_eq!(create("[tracing]\ncreate = true"), Some(Created { sampled: true }));
    let unsampled = create("[tracing]\ncreate = true\nsampled = false");
    assert_eq!(unsampled, Some(Created { sampled: false }));
    check_parts(&[(
        "[tracing]\nsampled = true",
        &["1:1: `sampled` has no effect without `create`; set create = true"],
    )]);
}
