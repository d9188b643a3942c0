//! `maintenance`, `cors`, `basic_auth` and `compress` of a route as written.

mod compress;
mod cors;

pub(in crate::config) use compress::CompressTable;

use std::sync::Arc;
use std::time::Duration;

use super::{YEAR, source};
use crate::config::edits::field_value;
use crate::config::fields::{Field, Fields};
use crate::config::source::Located;
use crate::guard::{Access, Passwords, Source};
use crate::plan::{BasicAuthPlan, ContentPlan, CorsPlan, MaintenancePlan, Page, Switch};

/// What of it a route says.
#[derive(Debug, Default)]
pub(in crate::config) struct ContentTable {
    pub maintenance: Option<MaintenanceTable>,
    pub cors: Option<CorsPlan>,
    pub basic_auth: Option<BasicAuthTable>,
    pub compress: Option<CompressTable>,
}

impl ContentTable {
    pub(super) fn read(fields: &mut Fields<'_>) -> ContentTable {
        ContentTable {
            maintenance: fields.get("maintenance").and_then(MaintenanceTable::read),
            cors: fields.get("cors").and_then(|field| field.table("`cors`")).and_then(cors::read),
            basic_auth: fields
                .get("basic_auth")
                .and_then(|field| field.table("`basic_auth`"))
                .map(BasicAuthTable::read),
            compress: fields.get("compress").and_then(CompressTable::read),
        }
    }

    /// The plan, `compress` being what holds for all routes; `None`: there is nothing of it.
    pub fn plan(&self, compress: Option<&CompressTable>) -> Option<Box<ContentPlan>> {
        let plan = ContentPlan {
            maintenance: self.maintenance.as_ref().map(MaintenanceTable::plan),
            cors: self.cors.clone(),
            basic_auth: self.basic_auth.as_ref().and_then(BasicAuthTable::plan),
            compress: CompressTable::plan(self.compress.as_ref(), compress).map(Arc::new),
        };
        (!plan.is_empty()).then(|| Box::new(plan))
    }
}

/// `basic_auth`.
#[derive(Debug)]
pub(in crate::config) struct BasicAuthTable {
    pub realm: Option<String>,
    pub file: Option<Located<String>>,
    /// What is in it.
    pub read: Option<Arc<Passwords>>,
}

/// What browsers call a place that has no name.
const REALM: &str = "Restricted";

impl BasicAuthTable {
    fn read(mut fields: Fields<'_>) -> BasicAuthTable {
        let path = fields.require("file", "file = \"site.htpasswd\"").and_then(read_path);
        let table = BasicAuthTable {
            realm: fields.get("realm").and_then(field_value),
            file: path,
            read: None,
        };
        fields.finish();
        table
    }

    fn plan(&self) -> Option<BasicAuthPlan> {
        let realm = self.realm.as_deref().unwrap_or(REALM);
        Some(BasicAuthPlan::new(realm, self.read.clone()?))
    }
}

/// `maintenance`, unless it is false.
#[derive(Debug, Default)]
pub(in crate::config) struct MaintenanceTable {
    pub file: Option<Located<String>>,
    pub body: Option<Located<String>>,
    pub content_type: Option<String>,
    pub retry_after: Option<Duration>,
    pub allow: Vec<Located<Source>>,
    pub when: Option<Located<String>>,
    /// What is in `file`.
    pub read: Option<Page>,
    /// That of `when`.
    pub switch: Option<Switch>,
}

impl MaintenanceTable {
    fn read(field: Field<'_>) -> Option<MaintenanceTable> {
        if !field.is_table() {
            return field.flag()?.then(MaintenanceTable::default);
        }
        let mut fields = field.table("`maintenance`")?;
        let text = |field: Field<'_>| field.text().map(|text| field.located(text.to_string()));
        let second = Duration::from_secs(1);
        let table = MaintenanceTable {
            file: fields.get("file").and_then(read_path),
            body: fields.get("body").and_then(text),
            content_type: fields.get("content_type").and_then(field_value),
            retry_after: fields.get("retry_after").and_then(|field| field.duration(second..=YEAR)),
            allow: fields.get("allow").map(read_allow).unwrap_or_default(),
            when: fields.get("when").and_then(read_path),
            ..MaintenanceTable::default()
        };
        if let (Some(file), Some(_)) = (&table.file, &table.body) {
            let what = "maintenance has one page: `file` or `body`";
            fields.complain_at(file.spot, what, "keep one of the two");
        }
        fields.finish();
        Some(table)
    }

    fn plan(&self) -> MaintenancePlan {
        let allow: Vec<Source> = self.allow.iter().map(|source| source.value).collect();
        MaintenancePlan {
            when: self.switch.clone(),
            page: self.page(),
            retry_after: Some(
                self.retry_after.map_or(MaintenancePlan::RETRY_AFTER, |time| time.as_secs()),
            ),
            allow: (!allow.is_empty()).then(|| Access::new(&allow, &[])),
        }
    }

    fn page(&self) -> Page {
        let text = || self.body.as_ref().map_or(MaintenancePlan::TEXT, |body| body.as_str());
        let mut page = self.read.clone().unwrap_or_else(|| Page {
            content_type: MaintenancePlan::CONTENT_TYPE.to_owned(),
            bytes: text().as_bytes().to_vec(),
        });
        if let Some(content_type) = &self.content_type {
            page.content_type.clone_from(content_type);
        }
        page
    }
}

fn read_allow(field: Field<'_>) -> Vec<Located<Source>> {
    let items = field.one_or_list();
    if items.is_empty() {
        field.complain("`allow` is empty", "remove it, or name a network");
    }
    items.into_iter().filter_map(source::read).collect()
}

fn read_path(field: Field<'_>) -> Option<Located<String>> {
    let text = field.text()?;
    match text.value {
        "" => field.refuse(format!("`{}` is empty", field.key), "write the path of a file"),
        path => Some(field.located(path.to_owned())),
    }
}
