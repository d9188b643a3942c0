//! `compress` as written, of a route or of all.

use crate::config::complaint::suggest;
use crate::config::fields::{Field, Fields};
use crate::plan::{Coding, CompressPlan, TypePattern};

/// `compress`: `true`, `false` or a table.
#[derive(Clone, Debug, Default)]
pub(in crate::config) struct CompressTable {
    pub on: bool,
    pub algorithms: Option<Vec<Coding>>,
    pub types: Option<Vec<TypePattern>>,
    pub min_bytes: Option<u64>,
    pub level: Levels,
}

/// How hard each tries.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::config) struct Levels {
    pub gzip: Option<u32>,
    pub brotli: Option<u32>,
    pub zstd: Option<u32>,
}

/// What is offered, in this order among equals: what browsers list last is what they have learnt
/// last, and none says which it likes best.
const ALGORITHMS: [Coding; 3] = [Coding::Zstd, Coding::Brotli, Coding::Gzip];
/// Where each spends its time best while somebody waits.
const GZIP_LEVEL: u32 = 5;
const BROTLI_LEVEL: u32 = 4;
const ZSTD_LEVEL: u32 = 3;

impl CompressTable {
    pub fn read(field: Field<'_>) -> Option<CompressTable> {
        if !field.is_table() {
            let on = field.flag()?;
            return Some(CompressTable { on, ..CompressTable::default() });
        }
        let mut fields = field.table("`compress`")?;
        let table = CompressTable {
            on: true,
            algorithms: fields.get("algorithms").map(read_algorithms),
            types: fields.get("types").map(read_types),
            min_bytes: fields.get("min_bytes").and_then(|field| field.size(0..=1 << 30)),
            level: fields.get("level").map(Levels::read).unwrap_or_default(),
        };
        fields.finish();
        Some(table)
    }

    /// What a route's table says, and where it says nothing, that of all routes; `None`: nothing
    /// is compressed.
    pub fn plan(own: Option<&CompressTable>, all: Option<&CompressTable>) -> Option<CompressPlan> {
        if !own.or(all)?.on {
            return None;
        }
        let (own, all) = (own.cloned().unwrap_or_default(), all.cloned().unwrap_or_default());
        let types = || CompressPlan::TYPES.map(|text| TypePattern::Exact(text.to_owned())).to_vec();
        let level = |of: fn(&Levels) -> Option<u32>| of(&own.level).or(of(&all.level));
        Some(CompressPlan {
            codings: own.algorithms.or(all.algorithms).unwrap_or_else(|| ALGORITHMS.to_vec()),
            types: own.types.or(all.types).unwrap_or_else(types),
            min_bytes: own.min_bytes.or(all.min_bytes).unwrap_or(CompressPlan::MIN_BYTES),
            gzip_level: level(|levels| levels.gzip).unwrap_or(GZIP_LEVEL),
            brotli_level: level(|levels| levels.brotli).unwrap_or(BROTLI_LEVEL),
            zstd_level: level(|levels| levels.zstd).unwrap_or(ZSTD_LEVEL),
        })
    }
}

impl Levels {
    /// One for all, or a table of them. The highest ones take tens of milliseconds for a piece that
    /// should take half a one.
    fn read(field: Field<'_>) -> Levels {
        if !field.is_table() {
            let level = field.whole32(1..=9);
            return Levels { gzip: level, brotli: level, zstd: level };
        }
        let Some(mut fields) = field.table("`level` of `compress`") else {
            return Levels::default();
        };
        let levels = Levels {
            gzip: read_level(&mut fields, "gzip", 9),
            brotli: read_level(&mut fields, "br", 9),
            zstd: read_level(&mut fields, "zstd", 12),
        };
        fields.finish();
        levels
    }
}

fn read_level(fields: &mut Fields<'_>, key: &'static str, most: u32) -> Option<u32> {
    fields.get(key).and_then(|field| field.whole32(1..=most))
}

fn read_algorithms(field: Field<'_>) -> Vec<Coding> {
    let mut algorithms = Vec::new();
    for item in items(field) {
        let Some(text) = item.text() else { continue };
        match Coding::ALL.iter().find(|(token, _)| *token == text.value) {
            Some((token, coding)) if algorithms.contains(coding) => {
                item.complain(format!("`{token}` is there twice"), "remove one");
            }
            Some((_, coding)) => algorithms.push(*coding),
            None => {
                let what = format!("there is no algorithm \"{}\"", text.value);
                let known = Coding::ALL.iter().map(|(token, _)| *token);
                item.complain(what, suggest(text.value, known, "there are"));
            }
        }
    }
    algorithms
}

fn read_types(field: Field<'_>) -> Vec<TypePattern> {
    let read = |item: Field<'_>| {
        let text = item.text()?;
        TypePattern::parse(text.value).or_else(|| {
            let what = format!("\"{}\" is no content type", text.value);
            item.refuse(what, "write \"text/html\", \"text/*\", or \"*\" for all")
        })
    };
    items(field).into_iter().filter_map(read).collect()
}

fn items(field: Field<'_>) -> Vec<Field<'_>> {
    let items = field.one_or_list();
    if items.is_empty() {
        field.complain(format!("`{}` is empty", field.key), "remove it, or set compress = false");
    }
    items
}
