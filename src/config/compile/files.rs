//! `[route.files]` and `[files]` to plans.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::program::internal_route;
use crate::config::file::{ActionWritten, File, FilesTable, LastWritten, TryTable};
use crate::plan::{
    FileCachePlan, FileTypes, FilesPlan, LastResort, Listing, Place, Symlinks, TryPlan,
};
use crate::route::{PathPattern, decode_file_path};

/// The plan of a route's files. `pattern`: what the route matches.
pub(super) fn plan(table: &FilesTable, pattern: &PathPattern, file: &File) -> Option<FilesPlan> {
    let all = &file.files;
    let charset = table.charset.as_ref().or(all.charset.as_ref());
    // Who says that only his own count has no others.
    let only_own = table.types.only == Some(true);
    let mut overrides = if only_own { BTreeMap::new() } else { all.types.types.clone() };
    overrides.extend(table.types.types.clone());
    let default_type = [&table.types, &all.types].into_iter().find_map(|t| t.default_type.clone());
    Some(FilesPlan {
        place: place(table, pattern)?,
        index: table.index.clone().unwrap_or_else(|| vec!["index.html".to_owned()]),
        index_leads_on: table.index_leads_on,
        tries: table.tries.as_ref().and_then(|tries| try_plan(tries, file)),
        listing: table.listing.unwrap_or(Listing::Off),
        precompressed: table.precompressed.clone(),
        symlinks: table.symlinks.unwrap_or(Symlinks::Inside),
        hidden: table.hidden.unwrap_or(false),
        types: FileTypes {
            overrides: Arc::new(overrides),
            guessed: !table.types.only.or(all.types.only).unwrap_or(false),
            default_type: default_type.unwrap_or_else(|| FileTypes::DEFAULT_TYPE.to_owned()),
            charset: charset.filter(|charset| *charset != "none").cloned(),
        },
        etag: table.etag.unwrap_or(true),
        max_ranges: table.max_ranges.unwrap_or(64) as usize,
        cache_control: table.cache_control.clone(),
        expires: table.expires,
    })
}

fn try_plan(table: &TryTable, file: &File) -> Option<TryPlan> {
    let last = match &table.last {
        LastWritten::Status(status) => LastResort::Status(*status),
        LastWritten::Path(path) => LastResort::Path(path.clone()),
        LastWritten::Route(name) => LastResort::Route(internal_route(&name.value, file)?),
    };
    Some(TryPlan { paths: table.paths.clone(), last })
}

fn place(table: &FilesTable, pattern: &PathPattern) -> Option<Place> {
    let written = table.folder.as_ref()?;
    let folder = table.found.clone();
    if let Some(made) = &written.made {
        let written_as = folder;
        return Some(match written.alias {
            true => Place::Whole { written: written_as, path: made.clone() },
            false => Place::Made { written: written_as, folder: made.clone() },
        });
    }
    if !written.alias {
        return Some(Place::Root(folder));
    }
    if let Some(path) = &table.alias_path {
        let matched = path.strip_prefix(b"/").unwrap_or(path).to_vec();
        return Some(Place::Alias { folder, matched });
    }
    match pattern {
        PathPattern::Exact(_) if !written.path.ends_with('/') => Some(Place::File {
            name: folder.file_name()?.to_str()?.to_owned(),
            folder: folder.parent()?.to_owned(),
        }),
        PathPattern::Exact(matched) | PathPattern::Start { path: matched, .. } => {
            let matched = matched.strip_prefix(b"/").unwrap_or(matched).to_vec();
            Some(Place::Alias { folder, matched })
        }
        PathPattern::Prefix(matched) => {
            // What names no file matches no path either that does.
            let matched = decode_file_path(matched).ok()?;
            Some(Place::Alias { folder, matched })
        }
        PathPattern::Regex(_) => None,
    }
}

/// What shards keep of files; `None`: no route serves any.
pub(super) fn cache(file: &File) -> Option<FileCachePlan> {
    let serves = |action: &ActionWritten| matches!(action, ActionWritten::Files(_));
    file.routes.iter().filter_map(|route| route.action.as_ref()).find(|action| serves(action))?;
    let default = FileCachePlan::default();
    Some(FileCachePlan {
        max: file.files.cache_max.map_or(default.max, |max| max as usize),
        valid: file.files.cache_valid.unwrap_or(default.valid),
    })
}
